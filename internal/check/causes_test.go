package check_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// Each of these is broken in one way. Where the evidence decides, the true cause comes first, alone or before the
// candidates; an opaque refusal decides nothing, and the true cause has to be among the candidates, with the value to
// compare.
func TestFindsTheCause(t *testing.T) {
	tests := []struct {
		name      string
		breakIt   func(f *fixture)
		step      string
		decides   bool
		cause     string
		candidate func(f *fixture) string // what the cause has to name as well
		stays     bool                    // the fault stays: released, a request that hangs would be handled after all
	}{
		{name: "wrong client secret", step: "6_exchange", cause: "client_secret is wrong", breakIt: func(f *fixture) {
			f.config(settings.Changes{settings.FieldClientSecret: "wrong"})
		}},
		{name: "wrong customer ID", step: "6_exchange", cause: "customer_id is not that", breakIt: func(f *fixture) {
			f.config(settings.Changes{settings.FieldCustomerID: "wrong-customer"})
		}, candidate: func(*fixture) string { return "wrong-customer" }},
		{
			name: "client ID in its place", step: "1_settings", decides: true,
			cause: "customer_id is the same as client_id",
			breakIt: func(f *fixture) {
				f.config(settings.Changes{settings.FieldCustomerID: f.App.ClientID})
			},
		},
		{
			name: "key not uploaded", step: "6_exchange", cause: "The public key is not in Workfront",
			breakIt: func(f *fixture) {
				if err := f.RemovePublicKey(f.App.ClientID, f.fingerprint); err != nil {
					f.t.Fatal(err)
				}
			}, candidate: func(*fixture) string { return testKey().Fingerprint() },
		},
		{
			name: "key of another user", step: "6_exchange",
			cause: "user_id is not the user who added the public key",
			breakIt: func(f *fixture) {
				user := workfronttest.User{ID: "another-user", Name: "Another"}
				if err := f.AddUser(user); err != nil {
					f.t.Fatal(err)
				}
				f.config(settings.Changes{settings.FieldUserID: user.ID})
			}, candidate: func(*fixture) string { return "another-user" },
		},
		{
			name: "expired certificate", step: "6_exchange", decides: true,
			cause: `The certificate for key "old" expired at`,
			breakIt: func(f *fixture) {
				old, err := signingkey.SelfSign(testKey().Private, signingkey.Certification{
					CommonName: "old", Now: f.clock.Now().Add(-48 * time.Hour), TTL: 24 * time.Hour,
				})
				if err != nil {
					f.t.Fatal(err)
				}
				if err := f.RemovePublicKey(f.App.ClientID, f.fingerprint); err != nil {
					f.t.Fatal(err)
				}
				f.upload(old)
				f.importKey("old", old)
				f.config(settings.Changes{settings.FieldKey: "old"})
				f.behave(func(b *workfronttest.Behaviour) { b.CertificateDates = true })
			},
		},
		{
			name: "clock 10 minutes ahead", step: "6_exchange", decides: true, cause: "ahead of Vault's",
			breakIt: clockOff(10 * time.Minute),
		},
		{
			name: "clock 10 minutes behind", step: "6_exchange", decides: true, cause: "behind Vault's",
			breakIt: clockOff(-10 * time.Minute),
		},
		{
			name: "wrong host", step: "6_exchange", decides: true, cause: "is not Workfront's API",
			breakIt: func(f *fixture) {
				other := httptest.NewTLSServer(http.NotFoundHandler())
				f.t.Cleanup(other.Close)
				ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw}))
				f.move(settings.Changes{settings.FieldBaseURL: other.URL, settings.FieldCACert: ca})
			},
		},
		{
			name: "host that does not exist", step: "4_connection", decides: true, cause: "cannot be resolved",
			breakIt: func(f *fixture) {
				f.move(settings.Changes{settings.FieldBaseURL: "https://workfront.invalid"})
			},
		},
		{
			name: "untrusted CA", step: "4_connection", decides: true,
			cause: "signed by a CA that the Vault server does not trust",
			breakIt: func(f *fixture) {
				other, err := workfronttest.Start(workfronttest.Options{})
				if err != nil {
					f.t.Fatal(err)
				}
				f.t.Cleanup(other.Close)
				f.move(settings.Changes{settings.FieldCACert: other.CACert()})
			},
		},
		{
			name: "certificate of another name", step: "4_connection", decides: true,
			cause:   "is for another name",
			breakIt: serverTLS(workfronttest.TLSOptions{DNSNames: []string{"another.example"}}),
		},
		{
			name: "certificate that has expired", step: "4_connection", decides: true, cause: "is not valid",
			breakIt: serverTLS(workfronttest.TLSOptions{NotAfter: time.Now().Add(-time.Hour)}),
		},
		{
			name: "connection refused", step: "4_connection", decides: true, cause: "Nothing accepts connections",
			breakIt: func(f *fixture) { f.Suspend() },
		},
		{
			name: "503", step: "6_exchange", decides: true, cause: "overloaded or under maintenance",
			breakIt: exchangeAnswers(503, "", ""),
		},
		{name: "502", step: "6_exchange", decides: true, cause: "is broken", breakIt: exchangeAnswers(502, "", "")},
		{
			name: "HTML instead of JSON", step: "6_exchange", decides: true, cause: "is not Workfront's API",
			breakIt: exchangeAnswers(200, "<html>", "text/html"),
		},
		{
			name: "redirect", step: "6_exchange", decides: true, cause: "redirects to (another host) (HTTP status 302)",
			breakIt: exchangeAnswers(302, "", ""),
		},
		{
			name: "hang", step: "6_exchange", decides: true, stays: true, cause: "failed or took too long",
			breakIt: func(f *fixture) {
				f.config(settings.Changes{settings.FieldRequestTimeout: time.Second})
				f.Inject(workfronttest.Fault{
					Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling,
				})
			},
		},
		{
			name: "not configured", step: "1_settings", decides: true, cause: "vault write workfront/config",
			breakIt: func(f *fixture) {
				if err := f.store.DeleteConfig(f.t.Context(), f.storage); err != nil {
					f.t.Fatal(err)
				}
			},
		},
		{name: "no user", step: "1_settings", decides: true, cause: "no user_id", breakIt: func(f *fixture) {
			f.config(settings.Changes{settings.FieldUserID: ""})
		}},
		{
			name: "no key", step: "2_signing_key", decides: true,
			cause: "vault write -f workfront/keys/none/generate",
			breakIt: func(f *fixture) {
				f.config(settings.Changes{settings.FieldKey: "none"})
			},
		},
		{
			name: "session good for nothing", step: "7_call_as_user", decides: true,
			cause: "does not know the session",
			breakIt: func(f *fixture) {
				f.Inject(workfronttest.Fault{
					Endpoint: workfronttest.EndpointAPI, Status: 401,
					Body: `{"error":{"class":"com.attask.common.AuthenticationException","message":"no"}}`,
				})
			},
		},
		{
			name: "gateway that wants a login of its own", step: "7_call_as_user", decides: true,
			cause:   "is not Workfront's API (HTTP status 401)",
			breakIt: endpointAnswers(workfronttest.EndpointAPI, 401),
		},
		{
			name: "user may not use the API", step: "7_call_as_user", decides: true,
			cause:   "is active and may use the API",
			breakIt: endpointAnswers(workfronttest.EndpointAPI, 403),
		},
		{
			name: "logout not confirmed", step: "8_logout", decides: true, cause: "did not confirm the logout",
			breakIt: func(f *fixture) {
				f.behave(func(b *workfronttest.Behaviour) { b.LogoutAnswer = `{"data":{"success":false}}` })
			},
		},
		{
			name: "session that survives its logout", step: "9_session_dead", decides: true,
			cause: "still good for calls",
			breakIt: func(f *fixture) {
				f.Inject(workfronttest.Fault{
					Endpoint: workfronttest.EndpointLogout, Body: `{"data":{"success":true}}`,
				})
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, settings.Changes{settings.FieldMaxRetries: 0})
			tt.breakIt(f)
			if tt.decides {
				f.wantFailure(check.Request{}, tt.step, tt.cause)
			} else {
				causes := f.wantFailure(check.Request{}, tt.step, "The public key is not in Workfront")
				if len(causes) != 5 {
					t.Errorf("candidates: got %d, want 5", len(causes))
				}
				text := strings.Join(causes, "\n")
				if !strings.Contains(text, tt.cause) {
					t.Errorf("got %s, want among them %q", text, tt.cause)
				}
				if tt.candidate != nil && !strings.Contains(text, tt.candidate(f)) {
					t.Errorf("got %s, want them to name %q", text, tt.candidate(f))
				}
				if strings.Contains(text, f.App.ClientSecret) {
					t.Error("the causes hold the client secret")
				}
			}
			if tt.step == "9_session_dead" {
				return // Workfront lied
			}
			// Nothing is left behind: what could not be logged out is pending, and maintenance ends it.
			if !tt.stays {
				f.ClearFaults()
			}
			f.wantNothingLeft()
		})
	}
}

func clockOff(d time.Duration) func(*fixture) {
	return func(f *fixture) {
		f.behave(func(b *workfronttest.Behaviour) { b.ClockOffset = d })
	}
}

func serverTLS(o workfronttest.TLSOptions) func(*fixture) {
	return func(f *fixture) {
		if err := f.SetTLS(o); err != nil {
			f.t.Fatal(err)
		}
	}
}

func exchangeAnswers(status int, body, contentType string) func(*fixture) {
	return func(f *fixture) {
		f.Inject(workfronttest.Fault{
			Endpoint: workfronttest.EndpointExchange, Status: status, Body: body,
			Header: http.Header{"Content-Type": {contentType}},
		})
	}
}

func endpointAnswers(e workfronttest.Endpoint, status int) func(*fixture) {
	return func(f *fixture) { f.Inject(workfronttest.Fault{Endpoint: e, Status: status}) }
}
