package main

import (
	"context"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/metrics"
)

func (b *backend) pathMetrics() *framework.Path {
	return &framework.Path{
		Pattern:      "metrics",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "metrics"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: b.readMetrics,
				Summary:  "Read the metrics of this mount in Prometheus' text format.",
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The metrics.", MediaType: "text/plain"}},
				},
				// Only the active node issues and logs out.
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		HelpSynopsis:    `Read the metrics of this mount.`,
		HelpDescription: metricsDescription,
	}
}

func (b *backend) readMetrics(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	text, err := b.metrics.Scrape(ctx, mountState{b, req.Storage})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		logical.HTTPContentType: metrics.ContentType,
		logical.HTTPRawBody:     text,
		logical.HTTPStatusCode:  http.StatusOK,
	}}, nil
}

// mountState is what a scrape asks for.
type mountState struct {
	backend *backend
	storage logical.Storage
}

func (s mountState) Hosts() []metrics.Host {
	hosts := s.backend.broker.Hosts()
	found := make([]metrics.Host, 0, len(hosts))
	for _, h := range hosts {
		found = append(found, metrics.Host{
			BaseURL: h.BaseURL, InFlight: h.InFlight, Waiting: h.Waiting, Limit: h.Limit, Unavailable: h.Unavailable,
		})
	}
	return found
}

func (s mountState) Stored(ctx context.Context) (metrics.Stored, error) {
	sessions, err := s.backend.broker.Count(ctx, s.storage)
	if err != nil {
		return metrics.Stored{}, err
	}
	expiries, err := s.backend.settings.Expiries(ctx, s.storage)
	if err != nil {
		return metrics.Stored{}, err
	}
	return metrics.Stored{
		ActiveSessions: sessions.Active, PendingLogouts: sessions.LogoutPending, CertificateExpiries: expiries,
	}, nil
}

const metricsDescription = `
The metrics of this mount in Prometheus' text format: exchanges and logouts by
outcome and their duration, calls in flight and waiting, sessions by state,
replacements of shared sessions that failed, when the certificate of each key
expires, and which Workfront hosts are marked unavailable. They hold no token,
no secret and no ID of a session.

  $ vault read -format=raw workfront/metrics

Counters start at 0 when the plugin starts or another node becomes active.
Sessions and certificates are counted once a minute at most.
`
