//go:build e2e

package test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// gateway is a host with a CA of its own that stands before a Workfront. Somebody with a place on the network may take its
// place: then it is the attacker's, and passes nothing on.
type gateway struct {
	url   string
	relay http.Handler

	mu          sync.Mutex
	certificate tls.Certificate
	captured    bool
	got         bytes.Buffer // what came while it was captured
}

// startGateway starts a gateway, and returns its CA besides.
func startGateway(t *testing.T, w *workfront) (g *gateway, caCert string) {
	t.Helper()
	target, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(w.CACert()))
	relay := httputil.NewSingleHostReverseProxy(target)
	relay.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(relay.Transport.(*http.Transport).CloseIdleConnections)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g = &gateway{url: "https://" + inner.Addr().String(), relay: relay}
	caCert = g.rotate(t, false)
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	server.SetKeepAlivesEnabled(false) // so that each call sees the certificate of its time
	go func() {
		_ = server.Serve(tls.NewListener(inner, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: g.current}))
	}()
	t.Cleanup(func() { _ = server.Close() })
	return g, caCert
}

// rotate gives the gateway a certificate of another CA, which it returns. captured has it be the attacker's from now on.
func (g *gateway) rotate(t *testing.T, captured bool) (caCert string) {
	t.Helper()
	certificate, caCert := selfSigned(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.certificate, g.captured = certificate, captured
	return caCert
}

func (g *gateway) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	certificate := g.certificate
	return &certificate, nil
}

func (g *gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	captured := g.captured
	if captured {
		_ = r.Write(&g.got)
	}
	g.mu.Unlock()
	if captured {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"data":{"success":true}}`)
		return
	}
	g.relay.ServeHTTP(rw, r)
}

// behindGateway makes a mount that reaches its Workfront through a gateway, with both roles.
func behindGateway(t *testing.T, v *vaultServer, w *workfront) (m *mount, g *gateway, settings map[string]any) {
	t.Helper()
	g, caCert := startGateway(t, w)
	settings = map[string]any{"base_url": g.url, "ca_cert": caCert, "ttl": "5m"}
	return withRoles(t, issuing(t, v, w, settings)), g, settings
}

// TestGatewayCARotated: the CA of a gateway is replaced, and config is told. Sessions of before can be logged out, in every
// way, although they pin the old CA.
func TestGatewayCARotated(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m, g, settings := behindGateway(t, sharedVault(t), w)
	revoked, deleted, pending := m.token(t, ""), m.roleToken(t, freshRole), m.token(t, "")
	shared := []*api.Secret{m.roleToken(t, sharedRole), m.roleToken(t, sharedRole)}

	caCert := g.rotate(t, false)
	m.revoke(t, pending) // the plugin does not know the new CA yet
	if read := m.read(t, "sessions/"+sessionID(pending)); read["state"] != "logout_pending" {
		t.Errorf("the session is %v, want logout_pending", read)
	}
	settings["ca_cert"] = caCert
	m.configure(t, w, settings)
	m.delete(t, "sessions/"+sessionID(deleted)) // its logout succeeds, so the host is not marked unavailable any more
	wantDead(t, w, deleted)
	m.revoke(t, revoked)
	wantDead(t, w, revoked)
	for _, lease := range shared {
		m.revoke(t, lease)
	}
	wantDead(t, w, shared[0])
	m.delete(t, "sessions/"+sessionID(pending))
	wantDead(t, w, pending)
	m.revoke(t, deleted)
	m.revoke(t, m.token(t, ""))
	m.wantEmptyLedger(t)
}

// TestAttackGateway: somebody may write config, does not know the client secret, and has a place on the network, where the
// gateway was. With a made-up secret he can have a CA of his own trusted. But no session that was started with the real secret
// is sent to him, and nothing is lost: when config is right again, they can be logged out.
func TestAttackGateway(t *testing.T) {
	t.Parallel()
	v := ownVault(t) // its plugin is reloaded
	type move func(t *testing.T, attacker *mount, settings map[string]any)
	write := func(t *testing.T, attacker *mount, data map[string]any) { attacker.write(t, "config", data) }
	secretOnly := func(t *testing.T, attacker *mount, settings map[string]any) {
		write(t, attacker, field("client_secret", settings["client_secret"]))
	}
	for name, do := range map[string]move{
		"one write": write,
		"a made-up secret, then a CA with it": func(t *testing.T, attacker *mount, settings map[string]any) {
			secretOnly(t, attacker, settings)
			write(t, attacker, settings)
		},
		"a made-up secret, then a CA with another one": func(t *testing.T, attacker *mount, settings map[string]any) {
			secretOnly(t, attacker, settings)
			settings["client_secret"] = "made-up-too"
			write(t, attacker, settings)
		},
		"delete and make": func(t *testing.T, attacker *mount, settings map[string]any) {
			attacker.delete(t, "config")
			write(t, attacker, settings)
		},
		"a made-up secret, delete and make with the same": func(t *testing.T, attacker *mount, settings map[string]any) {
			secretOnly(t, attacker, settings)
			attacker.delete(t, "config")
			write(t, attacker, settings)
		},
	} {
		t.Run(name, func(t *testing.T) {
			attacks.tried.Add(1)
			w := startWorkfront(t, 0)
			m, g, settings := behindGateway(t, v, w)
			good, _ := g.current(nil)
			revoked, deleted, kept := m.token(t, ""), m.roleToken(t, freshRole), m.token(t, "")
			shared := m.roleToken(t, sharedRole)

			made := w.settings()
			made["base_url"], made["ca_cert"], made["client_secret"] = g.url, g.rotate(t, true), "made-up"
			attacker := &mount{vaultServer: m.vaultServer, path: m.path, client: m.configWriter(t)}
			do(t, attacker, made)

			m.reloadPlugin(t) // has the shared session checked at its next read
			_, _ = m.readRole(sharedRole)
			m.revoke(t, revoked)
			if _, err := m.root.Logical().Delete(m.path + "/sessions/" + sessionID(deleted)); err == nil {
				t.Error("the deletion says nothing of the logout that was not possible")
			}
			if _, err := m.root.Sys().Renew(kept.LeaseID, 60); err != nil {
				t.Errorf("renew: %v", err)
			}
			g.mu.Lock()
			got := g.got.String()
			g.mu.Unlock()
			if strings.Contains(got, w.App.ClientSecret) || strings.Contains(strings.ToLower(got), "sessionid:") {
				t.Error("a secret of the victim came to the attacker")
			}
			for _, lease := range []*api.Secret{revoked, deleted, kept, shared} {
				if !w.SessionAlive(accessToken(lease)) {
					t.Error("a session was logged out through the attacker, who passes nothing on")
				}
			}
			if !t.Failed() {
				attacks.refused.Add(1)
			}

			g.mu.Lock()
			g.certificate, g.captured = *good, false
			g.mu.Unlock()
			m.configure(t, w, settings)
			for _, lease := range []*api.Secret{revoked, deleted, shared} { // by hand: the host is marked unavailable yet
				m.delete(t, "sessions/"+sessionID(lease))
				wantDead(t, w, lease)
			}
			m.revoke(t, kept)
			wantDead(t, w, kept)
			m.revokeAll(t)
			m.wantAllGone(t, w)
		})
	}
}
