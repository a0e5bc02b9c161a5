package session_test

import (
	"errors"
	"testing"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// A session whose token cannot be issued is logged out, or its logout is pending: for a reader's own session, a
// shared one and a trial.
func TestUnusableSession(t *testing.T) {
	const body = `{"access_token":"a\"b","token_type":"sessionID"}`
	for _, how := range []string{"own", "shared", "trial"} {
		for _, confirmed := range []bool{true, false} {
			t.Run(how, func(t *testing.T) {
				f := newFixture(t)
				f.source.Shared = how == "shared"
				f.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Body: body})
				logout := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 403}
				if confirmed {
					logout = workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Body: `{"data":{"success":true}}`}
				}
				f.server.Inject(logout)
				if err := f.read(how == "trial"); !errors.As(err, new(*workfront.UnusableSessionError)) {
					t.Errorf("got %v, want an error of its own kind", err)
				}
				if f.server.Stats().Logouts == 0 {
					t.Error("got no logout, want one")
				}
				sessions, err := ledger.New().In(f.storage).IDs(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := 1
				if confirmed {
					want = 0
				}
				if len(sessions) != want {
					t.Errorf("got %d sessions in the ledger, want %d", len(sessions), want)
				}
			})
		}
	}
}

// read reads a token, or proves the settings, and returns why it could not.
func (f *fixture) read(trial bool) error {
	if !trial {
		_, err := f.broker.Issue(f.t.Context(), f.storage, f.source)
		return err
	}
	tried, err := f.broker.Try(f.t.Context(), f.source)
	if tried != nil {
		_, _ = tried.End(f.t.Context(), f.storage)
	}
	return err
}
