package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
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
			for _, s := range check.Steps() {
				if text, _ := got[s.Name].(string); !strings.HasPrefix(text, "ok (") {
					t.Errorf("%s: got %q, want ok", s.Name, text)
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
	for _, s := range check.Steps() {
		text, _ := got[s.Name].(string)
		want := "ok ("
		switch {
		case s.Name == step:
			want, failed = "failed: ", true
		case failed:
			want = "not reached"
		}
		if !strings.HasPrefix(text, want) {
			m.t.Errorf("%s: got %q, want %q", s.Name, text, want)
		}
	}
	return text
}

// What Workfront does not mind is no failure, only a warning.
func TestCheckOfAnEndedCertificateThatWorkfrontAccepts(t *testing.T) {
	m, _ := ready(t, nil)
	m.backend.(*backend).now = func() time.Time { return testKey().Certificate.NotAfter.Add(time.Hour) }
	resp := m.write("check", nil)
	if resp.Data[fieldOK] != true || resp.Data[fieldCauses] != "" {
		t.Errorf("got %v, want ok", resp.Data)
	}
	if text := resp.Data["3_certificate"].(string); !strings.Contains(text, "has expired") {
		t.Errorf("3_certificate: got %q, want it to say so", text)
	}
	if !strings.Contains(strings.Join(resp.Warnings, "\n"), "expired at") {
		t.Errorf("warnings: got %v, want one of the certificate", resp.Warnings)
	}
}

// What was found is told in the fields that the path describes, and observations only to whoever asks for them.
func TestCheckAnswer(t *testing.T) {
	m, w := ready(t, map[string]any{settings.FieldMaxRetries: 0})
	m.wantRefused(logical.UpdateOperation, "check", map[string]any{fieldRole: "a/b"}, fieldRole)
	m.wantRefused(logical.UpdateOperation, "check", map[string]any{settings.FieldKey: "a..b"}, settings.FieldKey)
	fields := slices.Sorted(maps.Keys(m.write("check", nil).Data))
	if want := asJSON(t, slices.Sorted(maps.Keys(checkAnswerFields()))); asJSON(t, fields) !=
		strings.Replace(want, `"observations",`, "", 1) {
		t.Errorf("fields: got %v, want %s without observations", fields, want)
	}
	m.write("config", map[string]any{settings.FieldClientSecret: "wrong"})
	text := m.wantCheck(nil, "6_exchange", "The public key is not in Workfront")
	for i, line := range strings.Split(text, "\n") {
		if number := string('1'+rune(i)) + ". "; !strings.HasPrefix(line, number) {
			t.Errorf("got %q, want it to begin with %q", line, number)
		}
	}
	w.Suspend()
	m.wantCheck(map[string]any{fieldObserve: true}, "4_connection", "Nothing accepts connections")
}

// secretOrID is what no observation may hold: a hexadecimal ID or token of the stand-in's, or a JWT.
var secretOrID = regexp.MustCompile(`[0-9a-f]{8}|eyJ|ey[A-Z]`)

// An observation is made to be published. All that is secret or names the customer is marked, and Workfront repeats what it is
// sent.
func TestObservationsHoldNothingThatIsSecret(t *testing.T) {
	forms := []workfronttest.RefusalForm{
		workfronttest.RefusalOAuthService, workfronttest.RefusalRFC6749, workfronttest.RefusalAPI, workfronttest.RefusalMessage,
	}
	type behaviour = workfronttest.Behaviour
	modes := map[string]func(b *behaviour){
		"as it is":            func(*behaviour) {},
		"another user":        func(b *behaviour) { b.SessionResource = workfronttest.SessionOtherUser },
		"no session resource": func(b *behaviour) { b.SessionResource = workfronttest.SessionPage },
		"POST only":           func(b *behaviour) { b.LogoutMethods = workfronttest.LogoutPOST },
		"unclear logout":      func(b *behaviour) { b.LogoutAnswer = `{"data":{"success":false}}` },
		"retired version":     func(b *behaviour) { b.RetiredVersions = []string{"v22.0"} },
		"in use":              func(b *behaviour) { b.SameSession = true },
		"wrong clock":         func(b *behaviour) { b.ClockOffset = time.Hour },
	}
	for name, mode := range modes {
		for _, form := range forms {
			t.Run(name+", "+string(form), func(t *testing.T) {
				m, w := ready(t, map[string]any{settings.FieldMaxRetries: 0})
				b := workfronttest.DefaultBehaviour()
				mode(&b)
				b.EchoRefusals, b.RefusalForm = true, form
				w.SetBehaviour(b)
				if name == "in use" {
					m.readToken(nil)
				}
				got := m.write("check", map[string]any{fieldObserve: true}).Data[fieldObservations].(string)
				marks := []string{
					w.App.ClientID, w.App.ClientSecret, w.App.CustomerID, w.User.ID, w.URL(), strings.TrimPrefix(w.URL(), "https://127.0.0.1:"),
				}
				for _, mark := range marks {
					if strings.Contains(got, mark) {
						t.Errorf("got %q in\n%s", mark, got)
					}
				}
				if found := secretOrID.FindString(got); found != "" {
					t.Errorf("got %q, which looks like an ID or a secret, in\n%s", found, got)
				}
				if !strings.Contains(got, "4_connection: HEAD /: ") || !strings.Contains(got, "wrong_signature: POST ") {
					t.Errorf("got\n%s\nwant a line for each request", got)
				}
			})
		}
	}
}

// A page with such a status is what stands in between, and no word of the key.
func TestCheckOfAFirewall(t *testing.T) {
	m, w := ready(t, nil)
	w.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointExchange, Status: http.StatusForbidden, Body: "<html>blocked</html>",
		Header: http.Header{"Content-Type": {"text/html"}},
	})
	m.wantCheck(nil, "6_exchange", "A proxy or firewall answered in place of "+w.URL())
}
