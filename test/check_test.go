//go:build e2e

package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

var checkSteps = []string{
	"1_settings", "2_signing_key", "3_certificate", "4_connection", "5_clock", "6_exchange", "7_call_as_user", "8_logout", "9_session_dead",
}

// texts reads a list of strings.
func texts(value any) []string {
	list, _ := value.([]any)
	all := make([]string, 0, len(list))
	for _, element := range list {
		text, _ := element.(string)
		all = append(all, text)
	}
	return all
}

// withoutExpiry leaves out the warning of a certificate that expires soon, as those of Adobe's command do from the beginning.
func withoutExpiry(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(w string) bool {
		return strings.HasPrefix(w, "The certificate for key ") && strings.Contains(w, " expires at ")
	})
}

// wantNothingLeft checks that a mount holds no session, and that the stand-in has so many alive.
func (m *mount) wantNothingLeft(t *testing.T, w *workfront, alive int) {
	t.Helper()
	if err := w.accounts(alive); err != nil {
		t.Error(err)
	}
	if held := m.list(t, "session"); len(held) != alive {
		t.Errorf("storage holds %d sessions, want %d", len(held), alive)
	}
	if pending := m.list(t, pendingFolder); len(pending) > 0 {
		t.Errorf("logouts are pending: %q, want none", pending)
	}
}

// TestStoryCheck: all is well, for the defaults, a role, and a key that is not in use yet.
func TestStoryCheck(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, nil))
	certificate, _ := m.write(t, "keys/2027/generate", nil).Data["certificate"].(string)
	w.upload(t, certificate)
	m.client = m.clientWith(t, `path "`+m.path+`/check" { capabilities = ["update"] }`)
	for i, data := range []map[string]any{nil, field("role", sharedRole), field("key", "2027"), {"role": freshRole, "key": "2027"}} {
		checked := m.write(t, "check", data)
		// The certificate of Adobe's command is for 30 days, that of the plugin for a year.
		if ending := data["key"] == nil; checked.LeaseID != "" || len(withoutExpiry(checked.Warnings)) > 0 || ending != (len(checked.Warnings) > 0) {
			t.Errorf("check %v: a lease, or warnings: %q; want one about an ending certificate: %t", data, checked.Warnings, ending)
		}
		want := append([]string{"causes", "failed_step", "ok"}, checkSteps...)
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(checked.Data)); !slices.Equal(got, want) {
			t.Errorf("check %v: the fields are %q, want %q", data, got, want)
		}
		if checked.Data["ok"] != true || checked.Data["failed_step"] != "" || checked.Data["causes"] != "" {
			t.Errorf("check %v: %v; want ok", data, checked.Data)
		}
		for _, step := range checkSteps {
			if text, _ := checked.Data[step].(string); !strings.HasPrefix(text, "ok (") {
				t.Errorf("check %v: %s is %q, want ok", data, step, text)
			}
		}
		if s := w.Stats(); s.Started != i+1 || s.LoggedOut != i+1 {
			t.Errorf("check %v: %+v; want one session more, which is logged out", data, s)
		}
		m.wantNothingLeft(t, w, 0)
	}
}

// TestCheckLeavesLeasedAlone: Workfront returns the session that is issued already.
func TestCheckLeavesLeasedAlone(t *testing.T) {
	t.Parallel()
	for _, role := range []string{sharedRole, freshRole} {
		t.Run(role, func(t *testing.T) {
			w := startWorkfront(t, 0)
			behave(w, func(b *behaviour) { b.SameSession = true })
			m := withRoles(t, issuing(t, sharedVault(t), w, nil))
			lease := m.roleToken(t, role)
			checked := m.write(t, "check", nil)
			if checked.Data["ok"] != true || len(withoutExpiry(checked.Warnings)) != 1 {
				t.Errorf("check: %v, warnings %q; want ok, and a warning that the logout was left out", checked.Data, checked.Warnings)
			}
			if _, err := m.patch(field("verify_connection", true)); err != nil {
				t.Errorf("patch: %v", err)
			}
			if !w.SessionAlive(accessToken(lease)) {
				t.Fatal("a session that is issued was logged out")
			}
			m.wantBalance(t, w)
			m.revoke(t, lease)
			wantDead(t, w, lease)
		})
	}
}

// TestCheckFails: the answer is 200, and says what failed and why it may have.
func TestCheckFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		settings map[string]any
		fault    *workfronttest.Fault
		suspend  bool
		ask      map[string]any
		step     string
		causes   []string // a text of each, in their order
	}{
		{
			name: "503", fault: &workfronttest.Fault{Status: http.StatusServiceUnavailable, Endpoint: workfronttest.EndpointExchange},
			step: "6_exchange", causes: []string{"503"},
		},
		{
			name: "wrong secret", settings: field("client_secret", canaryMark+"wrong"),
			step: "6_exchange", causes: []string{"public key", "customer_id", "user_id", "client_id", "client_secret"},
		},
		{name: "connection refused", suspend: true, step: "4_connection", causes: []string{"Nothing accepts connections"}},
		{name: "no such role", ask: field("role", "nobody"), step: "1_settings", causes: []string{`the role "nobody" does not exist`}},
		{name: "no such key", ask: field("key", "nothing"), step: "2_signing_key", causes: []string{`the signing key "nothing" does not exist`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			settings := map[string]any{"max_retries": 0}
			maps.Copy(settings, c.settings)
			m := issuing(t, sharedVault(t), w, settings)
			if c.fault != nil {
				w.Inject(*c.fault)
			}
			if c.suspend {
				w.Suspend()
			}
			checked := m.write(t, "check", c.ask).Data
			text, _ := checked["causes"].(string)
			causes := strings.Split(text, "\n")
			if checked["ok"] != false || checked["failed_step"] != c.step || len(causes) != len(c.causes) {
				t.Fatalf("check: %v; want step %s to fail, of %d possible causes", checked, c.step, len(c.causes))
			}
			for i, text := range c.causes {
				if number := fmt.Sprintf("%d. ", i+1); !strings.HasPrefix(causes[i], number) || !strings.Contains(causes[i], text) {
					t.Errorf("a cause is %q, want it to begin with %q and to hold %q", causes[i], number, text)
				}
			}
			failed := slices.Index(checkSteps, c.step)
			for i, step := range checkSteps {
				want := "ok ("
				switch {
				case i == failed:
					want = "failed: "
				case i > failed:
					want = "not reached"
				}
				if text, _ := checked[step].(string); !strings.HasPrefix(text, want) {
					t.Errorf("%s is %q, want it to begin with %q", step, text, want)
				}
			}
			m.wantNothingLeft(t, w, 0)
		})
	}
	t.Run("unconfirmed logout", func(t *testing.T) {
		w := startWorkfront(t, 0)
		m := issuing(t, sharedVault(t), w, nil)
		remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Body: `{"data":{"success":false}}`})
		if checked := m.write(t, "check", nil).Data; checked["ok"] != false || checked["failed_step"] != "8_logout" {
			t.Errorf("check: %v; want 8_logout to fail", checked)
		}
		before := mustJSON(t, m.read(t, "config"))
		_, err := m.patch(map[string]any{"ttl": "7m", "verify_connection": true})
		wantError(t, err, http.StatusBadGateway, "not stored", "logged out")
		if got := mustJSON(t, m.read(t, "config")); got != before {
			t.Errorf("config is %s, want it as it was: %s", got, before)
		}
		m.wantBalance(t, w)
		pending := m.sessions(t)
		if len(pending) != 2 {
			t.Errorf("%d logouts are pending, want 2", len(pending))
		}
		remove()
		for id := range pending {
			m.delete(t, "sessions/"+id)
		}
		m.wantNothingLeft(t, w, 0)
	})
	t.Run("not configured", func(t *testing.T) {
		m := enable(t, sharedVault(t), uniqueName(t))
		if checked := m.write(t, "check", nil).Data; checked["ok"] != false || checked["failed_step"] != "1_settings" {
			t.Errorf("check: %v; want 1_settings to fail", checked)
		}
	})
}

// TestStoryVerifyConnection: settings that do not work are not stored, and those that do leave no session behind.
func TestStoryVerifyConnection(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	config := func() string {
		text, err := json.Marshal(m.read(t, "config"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	verified := func(changes map[string]any) map[string]any {
		all := w.settings()
		maps.Copy(all, changes)
		all["verify_connection"] = true
		return all
	}
	first := func(data map[string]any) (*api.Secret, error) {
		return m.client.Logical().Write(m.path+"/config", data)
	}

	_, err := first(verified(nil)) // there is no key yet
	wantError(t, err, 400, "not stored", `"default"`)
	certificate, _ := m.write(t, "keys/default/generate", nil).Data["certificate"].(string)
	_, err = first(verified(nil)) // the key is not registered in Workfront yet
	wantError(t, err, 400, "not stored", "public keys")
	if got := config(); got != "null" {
		t.Errorf("config is %s, want none", got)
	}
	w.upload(t, certificate)
	m.write(t, "config", verified(field("ttl", "5m")))
	if s := w.Stats(); s.Started != 1 || s.LoggedOut != 1 {
		t.Errorf("sessions: %+v; want one, which is logged out", s)
	}
	m.wantNothingLeft(t, w, 0)
	lease := m.token(t, "")
	before := config()
	if strings.Contains(before, "verify_connection") {
		t.Errorf("config is %s, want no verify_connection in it", before)
	}

	m.write(t, "keys/unknown/generate", nil)
	for name, changes := range map[string]map[string]any{
		"secret":   {"client_secret": canaryMark + "wrong"},
		"customer": {"customer_id": "wrong"},
		"client":   {"client_id": "wrong", "ttl": "7m"},
		"user":     {"user_id": "wrong"},
		"key":      {"key": "unknown"},
		"no key":   {"key": "nothing"},
	} {
		changes["verify_connection"] = true
		_, err := m.patch(changes)
		wantError(t, err, 400, "not stored")
		_, err = first(changes)
		wantError(t, err, 400, "not stored")
		if got := config(); got != before {
			t.Errorf("%s: config is %s, want it as it was: %s", name, got, before)
		}
	}
	remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 503})
	_, err = m.patch(map[string]any{"ttl": "7m", "max_retries": 0, "verify_connection": true})
	wantError(t, err, 502, "not stored", "503")
	remove()
	if got := config(); got != before {
		t.Errorf("config is %s, want it as it was: %s", got, before)
	}
	m.wantNothingLeft(t, w, 1)
	m.revoke(t, m.token(t, "")) // the secret that was not stored is not used either

	if _, err := m.patch(map[string]any{"ttl": "7m", "verify_connection": true}); err != nil {
		t.Errorf("patch: %v", err)
	}
	if got := number(t, m.read(t, "config")["ttl"]); got != 420 {
		t.Errorf("ttl is %d, want 420", got)
	}
	m.wantNothingLeft(t, w, 1)
	m.revoke(t, lease)
}

// TestStoryObserve: what an operator pastes into a support case, of a Workfront that is well and of one that refuses.
// The canary searches it for secrets, as everything else; here, nothing in it may look like an ID either.
func TestStoryObserve(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	for _, c := range []struct {
		name     string
		settings map[string]any
		ok       bool
		lines    []string // the beginnings of the lines
	}{
		{
			"good", nil, true,
			[]string{
				"4_connection: HEAD /: 404 ",
				"6_exchange: POST /integrations/oauth2/api/v1/jwt/exchange: 200 application/json in ",
				"6_exchange: expires_in is stated",
				"7_call_as_user: GET /attask/api/v22.0/user/{user_id}: 200 ",
				"7_call_as_user: GET /attask/api/v22.0/session: 200 ",
				"7_call_as_user: compared with the settings: user_id as configured, customer_id as configured, " +
					"api_version offered",
				"8_logout: GET /attask/api/v22.0/logout: 200 ",
				"9_session_dead: GET /attask/api/v22.0/user/{user_id}: 401 ",
				"wrong_signature: POST /integrations/oauth2/api/v1/jwt/exchange: 401 ",
				"second_logout: GET /attask/api/v22.0/logout: 401 ",
			},
		},
		{
			"bad", field("client_secret", canaryMark+"wrong"), false,
			[]string{
				"4_connection: HEAD /: 404 ",
				"6_exchange: POST /integrations/oauth2/api/v1/jwt/exchange: 401 application/json in ",
				"wrong_signature: POST /integrations/oauth2/api/v1/jwt/exchange: 401 ",
				"second_logout: not sent, because no session was logged out",
			},
		},
	} {
		behave(w, func(b *behaviour) { b.EchoRefusals = true })
		m.configure(t, w, c.settings)
		checked := m.write(t, "check", field("observe", true)).Data
		text, _ := checked["observations"].(string)
		t.Logf("%s:\n%s", c.name, text)
		lines := strings.Split(text, "\n")
		if checked["ok"] != c.ok || len(lines) != len(c.lines) {
			t.Fatalf("%s: check: %v; want ok %t and %d lines", c.name, checked, c.ok, len(c.lines))
		}
		for i, want := range c.lines {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: a line is %q, want it to begin with %q", c.name, lines[i], want)
			}
		}
		for _, mark := range []string{
			w.App.ClientID, w.App.ClientSecret, w.App.CustomerID, w.User.ID, w.URL(), canaryMark,
		} {
			if strings.Contains(text, mark) {
				t.Errorf("%s: the observations hold a value", c.name)
			}
		}
		if found := looksLikeAnID.FindString(text); found != "" {
			t.Errorf("%s: the observations hold %q, which looks like an ID", c.name, found)
		}
		m.wantNothingLeft(t, w, 0)
	}
}

var looksLikeAnID = regexp.MustCompile(`[0-9a-f]{8}`)
