package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/metrics"
	"vault-plugin-secrets-workfront/internal/notice"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// operationPrefix begins the operation IDs of the OpenAPI document.
const operationPrefix = "workfront"

// backend is one mount of the secrets engine. One process serves many of them.
type backend struct {
	*framework.Backend
	now      func() time.Time
	storage  logical.Storage // for Clean, which comes without a request
	broker   *session.Broker
	settings *settings.Store
	check    *check.Checker
	metrics  *metrics.Metrics
	system   *systemMemory
	refuted  notice.Notice // verifications of config that failed
}

// Factory makes the secrets engine for one mount.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b := newBackend(conf, time.Now)
	if err := b.Setup(ctx, conf); err != nil {
		return nil, err
	}
	return b, nil
}

func newBackend(conf *logical.BackendConfig, now func() time.Time) *backend {
	b := &backend{
		now:      now,
		storage:  conf.StorageView,
		settings: settings.New(settings.Options{Now: now}),
		metrics:  metrics.New(metrics.Options{Now: now, Version: version, Commit: commit}),
	}
	b.broker = session.NewBroker(session.Options{
		Now: now, Logger: conf.Logger, Notify: b.sessionEvent, Trust: b.settings.Trust,
		Observer: b.metrics, UserAgent: "vault-plugin-secrets-workfront/" + version,
	})
	b.check = &check.Checker{Broker: b.broker, Now: func() time.Time { return b.now() }}
	b.Backend = &framework.Backend{
		BackendType:    logical.TypeLogical,
		RunningVersion: version,
		Help:           backendHelp,
		Paths: []*framework.Path{
			b.pathConfig(),
			b.pathKeysList(),
			b.pathKeys(),
			b.pathKeysGenerate(),
			b.pathKeysImport(),
			b.pathRolesList(),
			b.pathRoles(),
			b.pathToken(),
			b.pathTokenRole(),
			b.pathCheck(),
			b.pathSessionsList(),
			b.pathSessionsLookup(), // before pathSessions, which would take "lookup" for an ID
			b.pathSessions(),
			b.pathInfo(),
			b.pathMetrics(),
		},
		Secrets: []*framework.Secret{b.secretSession()},
		PathsSpecial: &logical.Paths{
			// Sessions are not among them: Vault's own lease entries hold the same tokens, and it would
			// cost a seal operation for each read.
			SealWrapStorage: []string{settings.ConfigKey, settings.KeyPrefix},
		},
		Invalidate:   b.invalidate,
		PeriodicFunc: b.periodic,
		Clean:        b.clean,
	}
	return b
}

// Setup has the framework ask Vault by way of a memory.
func (b *backend) Setup(ctx context.Context, conf *logical.BackendConfig) error {
	asking := *conf
	asking.System, b.system = remember(conf.System, b.now)
	return b.Backend.Setup(ctx, &asking)
}

// HandleExistenceCheck looks at the path alone. The framework would check the types of the fields here already, and
// Vault would log its error, which quotes what was sent: a secret, if it was sent as a list or a map.
func (b *backend) HandleExistenceCheck(ctx context.Context, req *logical.Request) (checkFound, exists bool, err error) {
	pathOnly := *req
	pathOnly.Data = nil
	return b.Backend.HandleExistenceCheck(ctx, &pathOnly)
}

// HandleRequest gives errors the form in which Vault passes them on as they are meant.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	resp, err := b.handle(ctx, req)
	if err == nil {
		return orNothing(resp), nil
	}
	if req.Operation == logical.RenewOperation {
		return nil, err // Vault would show the whole of a response
	}
	var input *settings.InputError
	var busy *settings.BusyError
	var unreadable *settings.UnreadableError
	var waited *workfront.BusyError
	var slow *ledger.TimeoutError
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	switch {
	case errors.As(err, &unreadable):
		return nil, fmt.Errorf("%w; %s", err, unreadable.Remedy(mountOf(req)))
	case errors.As(err, &input), errors.As(err, &refused):
		return logical.ErrorResponse(err.Error()), nil
	case errors.As(err, &busy), errors.As(err, &waited), errors.As(err, &slow), errors.Is(err, session.ErrClosed):
		return nil, logical.CodedError(http.StatusServiceUnavailable, err.Error())
	case errors.As(err, &unavailable), errors.Is(err, workfront.ErrUnclearLogout), errors.Is(err, workfront.ErrGoneTooSoon):
		return nil, logical.CodedError(http.StatusBadGateway, err.Error())
	case ledger.IsReadOnly(err):
		// Vault forwards the request to the active node if it sees this very error.
		return nil, logical.ErrReadOnly
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, logical.CodedError(http.StatusServiceUnavailable,
			"the request ran out of the time that Vault gives it (max_request_duration); try again")
	default:
		return nil, err
	}
}

func (b *backend) handle(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	if len(req.Data) > 0 && req.Secret == nil {
		if path := b.Route(req.Path); path != nil {
			if err := checkTypes(path.Fields, req.Data); err != nil {
				return nil, err
			}
		}
	}
	return b.Backend.HandleRequest(ctx, req)
}

// orNothing turns an answer that says nothing into none: Vault then answers 204, and its command line "Success!". The
// handlers of writes return an empty answer all the same, because the framework puts its warning about unknown fields
// into an answer only.
func orNothing(resp *logical.Response) *logical.Response {
	if resp != nil && len(resp.Data) == 0 && len(resp.Warnings) == 0 && resp.Secret == nil {
		return nil
	}
	return resp
}

// clean runs before the backend is unloaded. Vault taints a mount before it disables it, but not to seal, to step
// down or to reload the plugin. (One that could not be disabled stays tainted.)
func (b *backend) clean(ctx context.Context) {
	b.broker.Close(ctx, b.storage, b.System().Tainted())
}

// periodic runs about once a minute, on every node.
func (b *backend) periodic(ctx context.Context, req *logical.Request) error {
	b.tellRefuted(b.refuted.Due(b.now()))
	if !b.WriteSafeReplicationState() {
		return nil
	}
	return errors.Join(
		b.broker.Maintain(ctx, req.Storage),
		b.watchExpiry(ctx, req.Storage),
		b.metrics.KeepRoles(func() ([]string, error) { return b.settings.Roles(ctx, req.Storage) }),
	)
}

// invalidate drops what is kept in memory of an entry that another node has written.
func (b *backend) invalidate(_ context.Context, key string) {
	b.system.drop()
	b.settings.Invalidate(key)
	b.broker.Invalidate(key)
	if key == settings.ConfigKey {
		b.broker.ConfigWritten()
	}
	if strings.HasPrefix(key, settings.RolePrefix) {
		b.metrics.RolesChanged()
	}
}

// watchExpiry tells operators once a day of the keys in use whose certificates expire soon or have expired, and of
// settings that cannot be read.
func (b *backend) watchExpiry(ctx context.Context, storage logical.Storage) error {
	found, err := b.settings.WatchExpiry(ctx, storage)
	for _, e := range found.Expiring {
		b.Logger().Warn(e.Text, "key", e.Name, "used_by", e.UsedBy)
		b.event(ctx, eventKeyExpiring, "path", settings.KeyPrefix+e.Name, "not_after", e.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, entry := range found.Unreadable {
		b.Logger().Warn("settings cannot be read", "entry", entry.Key, "error", entry)
	}
	return err
}

const backendHelp = `
The Workfront secrets engine issues short-lived Adobe Workfront sessions.

It keeps the client secret and the RSA private key of a Workfront OAuth2
application (a "Machine to Machine Application") in Vault. Reading "token"
signs a JWT, exchanges it at Workfront and returns the access token, which is a
Workfront session, under a Vault lease. When the lease expires or is revoked,
the session is logged out at Workfront. No client ever holds the client secret, the private
key or the JWT.

To set it up: generate a key at "keys/default/generate", upload its certificate
to the OAuth2 application in Workfront, and write "config". If a token cannot be
read then, "check" says why.
`
