package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func TestSessions(t *testing.T) {
	m, w := ready(t, nil)
	m.write("roles/r", map[string]any{settings.FieldShareSession: true})
	if resp := m.must(logical.ListOperation, "sessions/", nil); resp != nil {
		t.Errorf("list of no sessions: got %v, want nothing", resp)
	}
	shared := m.readTokenAt("token/r", nil)
	m.readTokenAt("token/r", nil)
	id := shared.data[fieldSessionID].(string)
	want := map[string]any{
		fieldRole: "r", settings.FieldUserID: w.User.ID, settings.FieldBaseURL: w.URL(), fieldIssuedAt: m.clock.Now().UTC().Format(time.RFC3339),
		fieldExpiresAt: m.clock.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339), fieldStated: true, fieldLeases: 2, fieldState: "active",
	}
	for _, restart := range []bool{false, true} {
		if restart {
			m.restart()
		}
		got := m.read("sessions/" + id)
		if got, want := asJSON(t, got), asJSON(t, want); got != want {
			t.Errorf("restart %t: got %s, want %s", restart, got, want)
		}
		list := m.must(logical.ListOperation, "sessions/", nil)
		if got, want := asJSON(t, list.Data), asJSON(t, map[string]any{fieldKeys: []string{id}, fieldKeyInfo: map[string]any{id: want}}); got != want {
			t.Errorf("restart %t: list: got %s, want %s", restart, got, want)
		}
		if strings.Contains(asJSON(t, list.Data)+asJSON(t, got), shared.token()) {
			t.Error("a session's token is shown")
		}
	}
	if got := m.read("sessions/unknown"); got != nil {
		t.Errorf("unknown session: got %v, want nothing", got)
	}
}

func TestSessionsWithoutKeyInformationAbove1000(t *testing.T) {
	m := newMount(t)
	for i := range maxKeyInfo + 1 {
		m.storage.Set(t, fmt.Sprintf("session/%032x", i), `{"version":1,"state":"active"}`)
		if i != maxKeyInfo-1 {
			continue
		}
		if resp := m.must(logical.ListOperation, "sessions/", nil); resp.Data[fieldKeyInfo] == nil {
			t.Errorf("%d sessions: got no key information", maxKeyInfo)
		}
	}
	resp := m.must(logical.ListOperation, "sessions/", nil)
	if got := len(resp.Data[fieldKeys].([]string)); got != maxKeyInfo+1 || resp.Data[fieldKeyInfo] != nil {
		t.Errorf("%d sessions: got %d, key information %t; want none", maxKeyInfo+1, got, resp.Data[fieldKeyInfo] != nil)
	}
}

func TestSessionDelete(t *testing.T) {
	m, w := ready(t, nil)
	m.write("roles/r", map[string]any{settings.FieldShareSession: true})
	a, b := m.readTokenAt("token/r", nil), m.readTokenAt("token/r", nil)
	path := "sessions/" + a.data[fieldSessionID].(string)
	m.must(logical.DeleteOperation, path, nil)
	if w.SessionAlive(a.token()) {
		t.Error("the session lives on")
	}
	m.must(logical.DeleteOperation, path, nil) // is idempotent
	a.revoke()
	b.revoke()
	if got := w.Stats().Logouts; got != 1 {
		t.Errorf("logouts: got %d, want 1", got)
	}
	if c := m.readTokenAt("token/r", nil); c.token() == a.token() {
		t.Error("a session that was deleted was issued")
	}
}

// A session that Workfront has only just returned, and does not know yet, is not logged out.
func TestSessionDeleteTooSoon(t *testing.T) {
	t.Parallel() // Workfront is asked again after 2 s
	m, w := ready(t, nil)
	l := m.readToken(nil)
	path := "sessions/" + l.data[fieldSessionID].(string)
	w.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointLogout, Status: 401, Times: 2,
		Body: `{"error":{"class":"com.attask.common.AuthenticationException","message":"no"}}`,
	})
	m.wantStatus(502, logical.DeleteOperation, path, nil, "only just returned", "logout_pending")
	m.clock.Advance(time.Minute)
	if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
		t.Fatal(err)
	}
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on")
	}
}

// A session that Workfront does not know any more is shown as such, and its leases cannot be renewed.
func TestSessionThatIsGone(t *testing.T) {
	m, _ := ready(t, nil)
	l := m.readToken(nil)
	id := l.data[fieldSessionID].(string)
	entry, err := m.storage.Get(t.Context(), "session/"+id)
	if err != nil || entry == nil {
		t.Fatal(err)
	}
	entry.Value = bytes.Replace(entry.Value, []byte(`"active"`), []byte(`"gone"`), 1)
	if err := m.storage.Put(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	m.restart()
	if got := m.read("sessions/" + id)[fieldState]; got != "gone" {
		t.Errorf("state: got %v, want gone", got)
	}
	if resp, err := l.request(logical.RenewOperation); err == nil {
		t.Errorf("renewal: got %v, want an error", resp)
	}
	l.revoke()
}

func TestSessionDeleteDuringAnOutage(t *testing.T) {
	m, w := ready(t, nil)
	l := m.readToken(nil)
	path := "sessions/" + l.data[fieldSessionID].(string)
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 200, Body: `{"data":{"success":false}}`})
	m.wantStatus(502, logical.DeleteOperation, path, nil, "did not confirm", "logout_pending")
	w.ClearFaults()
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	for range 2 { // it is tried at once, even where one has just failed
		tried := w.Stats().Logouts
		m.wantStatus(502, logical.DeleteOperation, path, nil, "HTTP status 500", "logout_pending")
		if got := w.Stats().Logouts; got != tried+1 {
			t.Errorf("logouts: got %d more, want 1", got-tried)
		}
	}
	if got := m.read(path)[fieldState]; got != "logout_pending" {
		t.Errorf("state: got %v, want logout_pending", got)
	}
	w.ClearFaults()
	m.clock.Advance(time.Minute)
	if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
		t.Fatal(err)
	}
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on")
	}
	l.revoke()
}
