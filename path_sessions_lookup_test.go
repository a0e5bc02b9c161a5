package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// lookup finds the session of a token, in the forms in which people have both.
func TestSessionsLookup(t *testing.T) {
	m, w := ready(t, nil)
	var log bytes.Buffer
	m.logger = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
	m.restart()
	m.write("roles/r", map[string]any{settings.FieldShareSession: true})
	shared := m.readTokenAt("token/r", nil)
	m.readTokenAt("token/r", nil)
	fresh := m.readToken(nil)
	host := strings.TrimPrefix(w.URL(), "https://")
	for _, restart := range []bool{false, true} {
		if restart {
			m.restart()
		}
		for _, of := range []*lease{shared, fresh} {
			id := of.data[fieldSessionID].(string)
			want := maps.Clone(m.read("sessions/" + id))
			want[fieldSessionID] = id
			for _, asked := range []map[string]any{
				{fieldAccessToken: of.token()},
				{fieldAccessToken: "\r\n\t " + of.token() + " \n"},
				{fieldAccessToken: of.token(), settings.FieldBaseURL: w.URL()},
				{fieldAccessToken: of.token(), settings.FieldBaseURL: "HTTPS://" + strings.ToUpper(host) + "/"},
			} {
				got := m.write("sessions/lookup", asked)
				if got, want := asJSON(t, got.Data), asJSON(t, want); got != want {
					t.Errorf("restart %t: got %s, want %s", restart, got, want)
				}
				if strings.Contains(asJSON(t, got), of.token()) {
					t.Error("the response holds the token")
				}
			}
		}
	}
	if got := m.write("sessions/lookup", map[string]any{fieldAccessToken: shared.token()}).Data[fieldLeases]; got != 2 {
		t.Errorf("leases: got %v, want 2", got)
	}
	if strings.Contains(log.String(), fresh.token()) || strings.Contains(log.String(), shared.token()) {
		t.Error("the log holds a token")
	}
}

func TestSessionsLookupOfUnknownTokens(t *testing.T) {
	m, w := ready(t, nil)
	l := m.readToken(nil)
	ask := func(changes map[string]any) map[string]any {
		data := map[string]any{fieldAccessToken: l.token()}
		maps.Copy(data, changes)
		return data
	}
	wantUnknown := func(data map[string]any) {
		t.Helper()
		m.wantStatus(404, logical.UpdateOperation, "sessions/lookup", data, "this mount does not know it", "another mount's")
		_, err := m.request(logical.UpdateOperation, "sessions/lookup", data)
		if token := strings.TrimSpace(data[fieldAccessToken].(string)); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("got %v, want an error without the token", err)
		}
	}
	wantUnknown(ask(map[string]any{fieldAccessToken: l.token() + "0"}))
	wantUnknown(ask(map[string]any{settings.FieldBaseURL: "https://acme.my.workfront.com"})) // another host's
	sent := w.Stats()
	l.revoke()
	wantUnknown(ask(nil))
	if got := w.Stats(); got.Exchanges != sent.Exchanges {
		t.Errorf("a lookup made Workfront exchange something: %+v", got)
	}
	expired := m.readToken(nil)
	m.clock.Advance(24 * time.Hour)
	for range 2 {
		m.must(logical.RollbackOperation, "", nil)
	}
	wantUnknown(ask(map[string]any{fieldAccessToken: expired.token()}))
}

// The session of a leaked token is found although config has moved on, because the host is given.
func TestSessionsLookupWithoutConfig(t *testing.T) {
	m, w := ready(t, nil)
	l := m.readToken(nil)
	m.must(logical.DeleteOperation, "config", nil)
	m.wantRefused(logical.UpdateOperation, "sessions/lookup", map[string]any{fieldAccessToken: l.token()},
		"base_url", "no config")
	found := m.write("sessions/lookup", map[string]any{fieldAccessToken: l.token(), settings.FieldBaseURL: w.URL()})
	id := found.Data[fieldSessionID].(string)
	m.must(logical.DeleteOperation, "sessions/"+id, nil)
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on")
	}
}

// A session whose entry cannot be read is found as such.
func TestSessionsLookupOfADamagedEntry(t *testing.T) {
	m, _ := ready(t, nil)
	l := m.readToken(nil)
	id := l.data[fieldSessionID].(string)
	m.storage.Set(t, "session/"+id, "{")
	m.restart()
	got := m.write("sessions/lookup", map[string]any{fieldAccessToken: l.token()}).Data
	if got[fieldState] != stateDamaged || got[fieldSessionID] != id {
		t.Errorf("got %v, want the session as damaged", got)
	}
}

// No path but this one takes the name, and it takes no other operation.
func TestSessionsLookupIsNoSession(t *testing.T) {
	m, _ := ready(t, nil)
	for _, op := range []logical.Operation{logical.ReadOperation, logical.DeleteOperation} {
		if _, err := m.request(op, "sessions/lookup", nil); err == nil {
			t.Errorf("%s was taken", op)
		}
	}
}
