package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// damaged are entries that cannot be read; those of development builds are among them.
var damaged = map[string]string{
	"no JSON": "no json", "no version": `{}`, "version 1": `{"version":1,"left":"0000000000000003"}`,
	"version 2": `{"version":2,"left":"0000000000000003"}`, "other types": `{"version":3,"token":7,"session_id":7,"left":7,"ca_cert":7}`,
}

const newer = `{"version":4,"token":7,"session_id":7,"left":7,"ca_cert":7}`

// Entries that cannot be read are told apart, damaged or written by a newer version, and named in the error.
func TestUnreadableEntries(t *testing.T) {
	const page = "0123456789abcdef.2"
	for key, read := range map[string]func(m *mount) error{
		"session/x":      func(m *mount) error { _, err := m.Get(t.Context(), "x"); return err },
		"shared/roles/x": func(m *mount) error { _, err := m.Shared(t.Context(), "roles/x"); return err },
		"trust/x":        func(m *mount) error { _, err := m.Trust(t.Context(), "x"); return err },
		"lease/" + newSession("a").ID() + "/" + page: func(m *mount) error {
			_, err := m.Leases(t.Context(), newSession("a"))
			return err
		},
	} {
		for name, value := range damaged {
			m := newMount(t)
			m.storage.Set(t, key, value)
			if err := read(m); !ledger.IsDamaged(err) || !ledger.IsUnreadable(err) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s, %s: got %v", key, name, err)
			}
		}
		m := newMount(t)
		m.storage.Set(t, key, newer)
		var want *ledger.NewerError
		err := read(m)
		if !errors.As(err, &want) || want.Version != 4 || ledger.IsDamaged(err) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s, newer: got %v", key, err)
		}
	}
}

// A session whose entry cannot be read is an error of each call, which leaves it as it is and nothing in memory. Removed,
// it is gone with its leases.
func TestUnreadableSession(t *testing.T) {
	for _, value := range []string{damaged["version 2"], newer} {
		m := newMount(t)
		s := newSession("a")
		m.share(s)
		lease := m.attach(s.ID())
		m.Drop(s.ID())
		m = m.restarted()
		m.storage.Set(t, "session/"+s.ID(), value)
		if _, err := m.Hold(t.Context(), s.ID()); !ledger.IsUnreadable(err) {
			t.Errorf("hold: got %v", err)
		}
		for _, lease := range []ledger.LeaseID{s.Lease, lease} {
			if _, err := m.Detach(t.Context(), s.ID(), lease); !ledger.IsUnreadable(err) {
				t.Errorf("detach %s: got %v", lease, err)
			}
		}
		if n := m.Len(); n != 0 || m.storage.Value(t, "session/"+s.ID()) != value {
			t.Errorf("%d sessions in memory, and in storage %s", n, m.storage.Value(t, "session/"+s.ID()))
		}
		m.ok(m.RemoveUnreadable(t.Context(), s.ID()))
		m.wantEmpty("expiry/")
	}
}

// A page that is damaged, or whose name is no page's, counts as a lease until the session is removed, and goes with it.
// Releasing one of its leases says so, and may be repeated.
func TestDamagedPages(t *testing.T) {
	for name, tt := range map[string]struct{ key, value string }{
		"unreadable":        {"0123456789abcdef.2", damaged["no JSON"]},
		"version 2":         {"0123456789abcdef.2", damaged["version 2"]},
		"bits of another":   {"0123456789abcdef.2", `{"version":3,"left":"0000000000000004"}`},
		"no bits":           {"0123456789abcdef.2", `{"version":3,"left":"0000000000000000"}`},
		"number for bits":   {"0123456789abcdef.2", `{"version":3,"left":3}`},
		"name without bits": {"0123456789abcdef", `{"version":3,"left":"0000000000000001"}`},
		"another form":      {"0123456789abcdef.01", `{"version":3,"left":"0000000000000001"}`},
		"another name":      {"000102030405060708090a0b0c0d0e0f", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			s := newSession("a")
			m.record(s)
			m.storage.Set(t, "lease/"+s.ID()+"/"+tt.key, tt.value)
			m = m.restarted()
			if lease, err := ledger.ParseLeaseID(tt.key + "-0"); err == nil {
				for range 2 {
					if got, err := m.Detach(t.Context(), s.ID(), lease); got != ledger.DetachedStored || !ledger.IsDamaged(err) {
						t.Errorf("detach: got %d, %v", got, err)
					}
				}
			}
			if n, err := m.Leases(t.Context(), s); n != 2 || !ledger.IsDamaged(err) {
				t.Errorf("leases: got %d, %v; want 2, and what is damaged", n, err)
			}
			m.detach(s.ID(), s.Lease, ledger.DetachedStored)
			if m.end(s.ID(), ledger.End{}) {
				t.Error("ended under what may be a lease")
			}
			if ids := m.Unfinished(); len(ids) != 0 {
				t.Errorf("unfinished: %v", ids)
			}
			if !m.end(s.ID(), ledger.End{Regardless: true}) {
				t.Error("an end regardless of leases did not begin")
			}
			m.wantEmpty()
		})
	}
}

// A page that a newer version has written is left as it is until that is installed again; Vault repeats the revocation.
func TestNewerPage(t *testing.T) {
	const name = "0123456789abcdef.2"
	m := newMount(t)
	s := unleased("a")
	m.record(s)
	key := "lease/" + s.ID() + "/" + name
	m.storage.Set(t, key, newer)
	m = m.restarted()
	for range 2 {
		_, err := m.Detach(t.Context(), s.ID(), must(ledger.ParseLeaseID(name+"-0")))
		if err == nil || !strings.Contains(err.Error(), "version 4") {
			t.Errorf("detach: got %v", err)
		}
	}
	if m.storage.Value(t, key) != newer || m.end(s.ID(), ledger.End{}) || len(m.Unfinished()) != 0 {
		t.Errorf("not left alone: %s, unfinished %v", m.storage.Value(t, key), m.Unfinished())
	}
	m.storage.Set(t, key, `{"version":3,"left":"0000000000000003"}`)
	m.detach(s.ID(), must(ledger.ParseLeaseID(name+"-0")), ledger.DetachedStored)
	m.detach(s.ID(), must(ledger.ParseLeaseID(name+"-1")), ledger.DetachedLast)
}
