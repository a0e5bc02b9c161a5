package session_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
)

// What builds before the first release have stored: two leases on a shared session, one on a session of its own, and a
// session whose logout is pending.
//
//go:embed testdata/version1.json
var storedInVersion1 string

// storeVersion1 fills storage with sessions of an older build.
func (f *fixture) storeVersion1() (ids map[string]string) {
	f.t.Helper()
	issued := f.clock.Now().UTC().Truncate(time.Second)
	expires := issued.Add(30 * time.Minute)
	values := []string{
		"{{base_url}}", f.server.URL(), "{{issued_at}}", issued.Format(time.RFC3339), "{{expires_at}}", expires.Format(time.RFC3339),
		"{{bucket}}", fmt.Sprint(expires.Unix() / 600), `"{{ca_cert}}"`, fmt.Sprintf("%q", f.server.CACert()),
	}
	ids = make(map[string]string)
	for _, name := range []string{"shared", "fresh", "pending"} {
		s := ledger.Session{Token: "token-of-the-" + name + "-session", Endpoint: ledger.Endpoint{BaseURL: f.server.URL()}}
		ids[name] = s.ID()
		values = append(values, "{{"+name+"}}", s.ID())
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal([]byte(strings.NewReplacer(values...).Replace(storedInVersion1)), &entries); err != nil {
		f.t.Fatal(err)
	}
	for key, value := range entries {
		f.storage.Set(f.t, key, string(value))
	}
	return ids
}

func TestSessionsOfAnOlderBuild(t *testing.T) {
	f := newSharedFixture(t)
	ids := f.storeVersion1()
	for name, want := range map[string]struct {
		leases int
		state  ledger.State
	}{
		"shared":  {2, ledger.StateActive},
		"fresh":   {1, ledger.StateActive},
		"pending": {0, ledger.StateLogoutPending},
	} {
		s, err := f.broker.Session(t.Context(), f.storage, ids[name])
		if err != nil || s == nil {
			t.Fatalf("%s: got %v, %v", name, s, err)
		}
		if n, err := f.broker.Leases(t.Context(), f.storage, s); n != want.leases || s.State != want.state || err != nil {
			t.Errorf("%s: got %d leases, %s, %v; want %d, %s", name, n, s.State, err, want.leases, want.state)
		}
	}
	f.clock.Advance(time.Minute) // Workfront does not know them, and is believed then
	logouts := 0
	release := func(name, lease string, logsOut bool) {
		t.Helper()
		if err := f.broker.Release(t.Context(), f.storage, session.LeaseRef{ID: lease, SessionID: ids[name]}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if logsOut {
			logouts++
		}
		if got := f.server.Stats().Logouts; got != logouts {
			t.Errorf("%s: logouts: got %d, want %d", name, got, logouts)
		}
	}
	release("fresh", "9a0eb2a6e5ed39565840bfa04527e757", true)
	release("shared", "98d6a48fe460b4f26d924e7a88a51cc1", false)
	release("shared", "b2181bc8725b3c5c629aa3db52e3f23d", true)
	f.maintain() // logs out what is pending
	if got := f.server.Stats().Logouts; got != logouts+1 {
		t.Errorf("logouts: got %d, want that of the pending one, too", got)
	}
	f.wantOnlyCurrent()
}

// Their fingerprints are those of the older build, too: a shared session goes on being issued after an upgrade.
func TestFingerprintOfAnOlderBuild(t *testing.T) {
	f := newSharedFixture(t)
	lease := f.issue()
	entry, err := f.storage.Get(t.Context(), "current/roles/r")
	if err != nil || entry == nil {
		t.Fatal(err)
	}
	var hint struct {
		Source string `json:"source"`
	}
	if err := json.Unmarshal(entry.Value, &hint); err != nil {
		t.Fatal(err)
	}
	if want := fingerprintOfVersion1(f.source); hint.Source != want {
		t.Errorf("fingerprint: got %s, want %s", hint.Source, want)
	}
	f.release(lease)
}

func fingerprintOfVersion1(s session.Source) string {
	sum := sha256.Sum256([]byte(
		s.Endpoint.BaseURL + "\n" + s.ClientID + "\n" + s.CustomerID + "\n" + s.UserID + "\n" + s.KeyFingerprint,
	))
	return hex.EncodeToString(sum[:])
}
