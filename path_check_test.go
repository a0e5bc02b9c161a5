package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestCheckOK(t *testing.T) {
	m, w := ready(t, nil)
	user := w.addUser(t, m.write("keys/2027/generate", nil).Data[settings.FieldCertificate].(string))
	m.write("roles/r", map[string]any{settings.FieldUserID: user, settings.FieldKey: "2027"})
	for name, data := range map[string]map[string]any{
		"defaults": nil,
		"role":     {fieldRole: "r"},
		"key":      {fieldRole: "r", settings.FieldKey: "2027"},
	} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			before := w.Stats()
			got := m.write("check", data).Data
			if got[fieldOK] != true || got[fieldFailedStep] != "" || got[fieldCauses] != "" {
				t.Errorf("got %v, want ok and no causes", got)
			}
			for _, s := range checkSteps {
				if text, _ := got[s.name].(string); !strings.HasPrefix(text, "ok (") {
					t.Errorf("%s: got %q, want ok", s.name, text)
				}
			}
			after := w.Stats()
			if after.Started != before.Started+1 || after.LoggedOut != before.LoggedOut+1 || after.Alive != 0 {
				t.Errorf("sessions: got %+v after %+v, want one more started and logged out", after, before)
			}
			// The connection step dials anew.
			if after.Connections == before.Connections {
				t.Error("the check made no connection of its own")
			}
		})
	}
	keys, err := logical.CollectKeysWithPrefix(t.Context(), m.storage, "session/")
	if err != nil || len(keys) > 0 {
		t.Errorf("left in storage: %v, %v", keys, err)
	}
	m.t = t
	m.wantCheck(map[string]any{settings.FieldKey: "2027"}, "6_exchange", "") // not this user's key
}

// wantCheck runs a check that has to fail at that step, with that first cause, and returns all causes.
func (m *mount) wantCheck(data map[string]any, step, first string) string {
	m.t.Helper()
	got := m.write("check", data).Data
	text, _ := got[fieldCauses].(string)
	causes := strings.Split(text, "\n")
	if got[fieldOK] != false || got[fieldFailedStep] != step || text == "" {
		m.t.Fatalf("got %v, want a failure of %s", got, step)
	}
	if !strings.HasPrefix(causes[0], "1. ") || !strings.Contains(causes[0], first) {
		m.t.Errorf("first cause: got %q, want one that holds %q", causes[0], first)
	}
	failed := false
	for _, s := range checkSteps {
		text, _ := got[s.name].(string)
		want := "ok ("
		switch {
		case s.name == step:
			want, failed = "failed: ", true
		case failed:
			want = "not reached"
		}
		if !strings.HasPrefix(text, want) {
			m.t.Errorf("%s: got %q, want %q", s.name, text, want)
		}
	}
	return text
}

// Each of these is broken in one way. Where the evidence decides, the true cause comes first, alone or before the
// candidates; an opaque refusal decides nothing, and the true cause has to be among the candidates, with the value to
// compare.
func TestCheckFindsTheCause(t *testing.T) {
	tests := []struct {
		name      string
		breakIt   func(t *testing.T, m *mount, w *standIn)
		step      string
		decides   bool
		cause     string
		candidate func(m *mount, w *standIn) string // what the cause has to name as well
		stays     bool                              // the fault stays: released, a request that hangs would be handled after all
	}{
		{name: "wrong client secret", step: "6_exchange", cause: "client_secret is wrong", breakIt: func(_ *testing.T, m *mount, _ *standIn) {
			m.write("config", map[string]any{settings.FieldClientSecret: "wrong"})
		}},
		{name: "wrong customer ID", step: "6_exchange", cause: "customer_id is not that", breakIt: func(_ *testing.T, m *mount, _ *standIn) {
			m.write("config", map[string]any{settings.FieldCustomerID: "wrong-customer"})
		}, candidate: func(*mount, *standIn) string { return "wrong-customer" }},
		{name: "client ID in its place", step: "1_settings", decides: true, cause: "customer_id is the same as client_id", breakIt: func(_ *testing.T, m *mount, w *standIn) {
			m.write("config", map[string]any{settings.FieldCustomerID: w.app.ClientID})
		}},
		{name: "key not uploaded", step: "6_exchange", cause: "The public key is not in Workfront", breakIt: func(t *testing.T, _ *mount, w *standIn) {
			if err := w.RemovePublicKey(w.app.ClientID, w.fingerprint); err != nil {
				t.Fatal(err)
			}
		}, candidate: func(m *mount, _ *standIn) string { return m.read("keys/default")[fieldFingerprint].(string) }},
		{name: "key of another user", step: "6_exchange", cause: "user_id is not the user who added the public key", breakIt: func(t *testing.T, m *mount, w *standIn) {
			user := workfronttest.User{ID: "another-user", Name: "Another"}
			if err := w.AddUser(user); err != nil {
				t.Fatal(err)
			}
			m.write("config", map[string]any{settings.FieldUserID: user.ID})
		}, candidate: func(*mount, *standIn) string { return "another-user" }},
		{name: "expired certificate", step: "6_exchange", decides: true, cause: `The certificate for key "old" expired at`, breakIt: func(t *testing.T, m *mount, w *standIn) {
			old, err := signingkey.SelfSign(testKey().Private, signingkey.Certification{CommonName: "old", Now: m.clock.Now().Add(-48 * time.Hour), TTL: 24 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.RemovePublicKey(w.app.ClientID, w.fingerprint); err != nil {
				t.Fatal(err)
			}
			w.upload(t, old.CertificatePEM())
			m.write("keys/old/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t), settings.FieldCertificate: old.CertificatePEM()})
			m.write("config", map[string]any{settings.FieldKey: "old"})
			b := workfronttest.DefaultBehaviour()
			b.CertificateDates = true
			w.SetBehaviour(b)
		}},
		{name: "clock 10 minutes ahead", step: "6_exchange", decides: true, cause: "ahead of Vault's", breakIt: clockOff(10 * time.Minute)},
		{name: "clock 10 minutes behind", step: "6_exchange", decides: true, cause: "behind Vault's", breakIt: clockOff(-10 * time.Minute)},
		{name: "wrong host", step: "6_exchange", decides: true, cause: "is not Workfront's API", breakIt: func(t *testing.T, m *mount, w *standIn) {
			other := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(other.Close)
			ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw}))
			m.write("config", map[string]any{settings.FieldBaseURL: other.URL, settings.FieldCACert: ca, settings.FieldClientSecret: w.app.ClientSecret})
		}},
		{name: "host that does not exist", step: "4_connection", decides: true, cause: "cannot be resolved", breakIt: func(_ *testing.T, m *mount, w *standIn) {
			m.write("config", map[string]any{settings.FieldBaseURL: "https://workfront.invalid", settings.FieldClientSecret: w.app.ClientSecret})
		}},
		{name: "untrusted CA", step: "4_connection", decides: true, cause: "signed by a CA that the Vault server does not trust", breakIt: func(t *testing.T, m *mount, w *standIn) {
			m.write("config", map[string]any{settings.FieldCACert: newStandIn(t, time.Now).CACert(), settings.FieldClientSecret: w.app.ClientSecret})
		}},
		{name: "certificate of another name", step: "4_connection", decides: true, cause: "is for another name", breakIt: serverTLS(workfronttest.TLSOptions{DNSNames: []string{"another.example"}})},
		{name: "certificate that has ended", step: "4_connection", decides: true, cause: "is not valid", breakIt: serverTLS(workfronttest.TLSOptions{NotAfter: time.Now().Add(-time.Hour)})},
		{name: "connection refused", step: "4_connection", decides: true, cause: "Nothing accepts connections", breakIt: func(_ *testing.T, _ *mount, w *standIn) { w.Suspend() }},
		{name: "503", step: "6_exchange", decides: true, cause: "overloaded or under maintenance", breakIt: exchangeAnswers(503, "", "")},
		{name: "502", step: "6_exchange", decides: true, cause: "is broken", breakIt: exchangeAnswers(502, "", "")},
		{name: "HTML instead of JSON", step: "6_exchange", decides: true, cause: "is not Workfront's API", breakIt: exchangeAnswers(200, "<html>", "text/html")},
		{name: "redirect", step: "6_exchange", decides: true, cause: "is not Workfront's API", breakIt: exchangeAnswers(302, "", "")},
		{name: "hang", step: "6_exchange", decides: true, stays: true, cause: "failed or took too long", breakIt: func(_ *testing.T, m *mount, w *standIn) {
			m.write("config", map[string]any{settings.FieldRequestTimeout: "1s"})
			w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
		}},
		{name: "not configured", step: "1_settings", decides: true, cause: "vault write workfront/config", breakIt: func(_ *testing.T, m *mount, _ *standIn) {
			m.must(logical.DeleteOperation, "config", nil)
		}},
		{name: "no user", step: "1_settings", decides: true, cause: "no user_id", breakIt: func(_ *testing.T, m *mount, _ *standIn) {
			m.write("config", map[string]any{settings.FieldUserID: ""})
		}},
		{name: "no key", step: "2_signing_key", decides: true, cause: "vault write -f workfront/keys/none/generate", breakIt: func(_ *testing.T, m *mount, _ *standIn) {
			m.write("config", map[string]any{settings.FieldKey: "none"})
		}},
		{name: "session good for nothing", step: "7_call_as_user", decides: true, cause: "does not know the session", breakIt: endpointAnswers(workfronttest.EndpointAPI, 401)},
		{name: "user may not use the API", step: "7_call_as_user", decides: true, cause: "is active and may use the API", breakIt: endpointAnswers(workfronttest.EndpointAPI, 403)},
		{name: "logout not confirmed", step: "8_logout", decides: true, cause: "did not confirm the logout", breakIt: func(_ *testing.T, _ *mount, w *standIn) {
			b := workfronttest.DefaultBehaviour()
			b.LogoutAnswer = `{"data":{"success":false}}`
			w.SetBehaviour(b)
		}},
		{name: "session that survives its logout", step: "9_session_dead", decides: true, cause: "still good for calls", breakIt: func(_ *testing.T, _ *mount, w *standIn) {
			w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Body: `{"data":{"success":true}}`})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, w := ready(t, map[string]any{settings.FieldMaxRetries: 0})
			tt.breakIt(t, m, w)
			if tt.decides {
				m.wantCheck(nil, tt.step, tt.cause)
			} else {
				causes := m.wantCheck(nil, tt.step, "The public key is not in Workfront")
				if got := strings.Count(causes, "\n") + 1; got != 5 {
					t.Errorf("candidates: got %d, want 5", got)
				}
				if !strings.Contains(causes, tt.cause) {
					t.Errorf("got %s, want among them %q", causes, tt.cause)
				}
				if tt.candidate != nil && !strings.Contains(causes, tt.candidate(m, w)) {
					t.Errorf("got %s, want them to name %q", causes, tt.candidate(m, w))
				}
				if strings.Contains(causes, w.app.ClientSecret) {
					t.Error("the causes hold the client secret")
				}
			}
			if tt.step == "9_session_dead" {
				return // Workfront lied
			}
			// Nothing is left behind: what could not be logged out is parked, and the periodic job ends it.
			if !tt.stays {
				w.ClearFaults()
			}
			w.SetBehaviour(workfronttest.DefaultBehaviour())
			m.clock.Advance(time.Minute)
			if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
				t.Fatal(err)
			}
			if stats := w.Stats(); stats.Alive != 0 {
				t.Errorf("sessions left behind: got %d, want none", stats.Alive)
			}
		})
	}
}

func clockOff(d time.Duration) func(*testing.T, *mount, *standIn) {
	return func(_ *testing.T, _ *mount, w *standIn) {
		b := workfronttest.DefaultBehaviour()
		b.ClockOffset = d
		w.SetBehaviour(b)
	}
}

func serverTLS(o workfronttest.TLSOptions) func(*testing.T, *mount, *standIn) {
	return func(t *testing.T, _ *mount, w *standIn) {
		if err := w.SetTLS(o); err != nil {
			t.Fatal(err)
		}
	}
}

func exchangeAnswers(status int, body, contentType string) func(*testing.T, *mount, *standIn) {
	return func(_ *testing.T, _ *mount, w *standIn) {
		w.Inject(workfronttest.Fault{
			Endpoint: workfronttest.EndpointExchange, Status: status, Body: body, Header: http.Header{"Content-Type": {contentType}},
		})
	}
}

func endpointAnswers(e workfronttest.Endpoint, status int) func(*testing.T, *mount, *standIn) {
	return func(_ *testing.T, _ *mount, w *standIn) { w.Inject(workfronttest.Fault{Endpoint: e, Status: status}) }
}

// What Workfront does not mind is no failure, only a warning.
func TestCheckOfAnEndedCertificateThatWorkfrontAccepts(t *testing.T) {
	m, _ := ready(t, nil)
	m.backend.(*backend).now = func() time.Time { return testKey().Certificate.NotAfter.Add(time.Hour) }
	resp := m.write("check", nil)
	if resp.Data[fieldOK] != true || resp.Data[fieldCauses] != "" {
		t.Errorf("got %v, want ok", resp.Data)
	}
	if text := resp.Data["3_certificate"].(string); !strings.Contains(text, "has ended") {
		t.Errorf("3_certificate: got %q, want it to say so", text)
	}
	if !strings.Contains(strings.Join(resp.Warnings, "\n"), "expired at") {
		t.Errorf("warnings: got %v, want one of the certificate", resp.Warnings)
	}
}
