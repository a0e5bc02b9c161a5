package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// shareUnleased has a role share a session that nobody leases: a replacement that nobody has read yet.
func shareUnleased(m *mount, _ *standIn) {
	m.t.Helper()
	m.write("roles/r", map[string]any{settings.FieldShareSession: true})
	current := func() string { return m.storage.Value(m.t, "shared/roles/r") }
	first := m.readTokenAt("token/r", nil)
	before := current()
	m.clock.Advance(25 * time.Minute)
	second := m.readTokenAt("token/r", nil)
	await.That(m.t, "the session is replaced", func() bool { return current() != before })
	first.revoke()
	second.revoke()
}

func importSpare(m *mount, _ *standIn) {
	m.t.Helper()
	m.write("keys/spare/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(m.t)})
}

// change is a request that changes settings.
type change struct {
	name    string
	prepare func(m *mount, w *standIn)
	op      logical.Operation
	path    string
	data    map[string]any
}

// isKey tells whether the change generates a key, which is another one each time and is never overwritten.
func (c change) isKey() bool { return strings.HasPrefix(c.path, "keys/new/") }

// shown is what the mount shows of what is changed.
func (c change) shown(m *mount) string {
	m.t.Helper()
	path := strings.TrimSuffix(strings.TrimSuffix(c.path, "/generate"), "/import")
	shown := m.read(path)
	if c.isKey() && shown != nil {
		return "a whole key" // or reading it had failed
	}
	return asJSON(m.t, shown)
}

// TestEveryWriteOfEveryChange breaks each change of settings at each of its writes, in each way. What is shown afterwards is what
// was before or what was to be, and repeating what failed completes it.
func TestEveryWriteOfEveryChange(t *testing.T) {
	for _, c := range []change{
		{name: "config", op: logical.UpdateOperation, path: "config", data: map[string]any{settings.FieldTTL: "5m", settings.FieldMaxTTL: "10m"}},
		{name: "config, verified", op: logical.PatchOperation, path: "config", data: map[string]any{settings.FieldTTL: "5m", fieldVerify: true}},
		{name: "config deleted", prepare: shareUnleased, op: logical.DeleteOperation, path: "config"},
		{name: "key generated", op: logical.UpdateOperation, path: "keys/new/generate"},
		{name: "key imported", op: logical.UpdateOperation, path: "keys/new/import", data: map[string]any{settings.FieldPrivateKey: testKeyPEM(t)}},
		{name: "key deleted", prepare: importSpare, op: logical.DeleteOperation, path: "keys/spare"},
		{name: "role made", op: logical.UpdateOperation, path: "roles/new", data: map[string]any{settings.FieldTTL: "5m", settings.FieldDescription: "d"}},
		{
			name: "role shares no longer", prepare: shareUnleased, op: logical.PatchOperation, path: "roles/r",
			data: map[string]any{settings.FieldShareSession: false, settings.FieldTTL: "1m"},
		},
		{name: "role deleted", prepare: shareUnleased, op: logical.DeleteOperation, path: "roles/r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, d := range storagetest.Breakdowns {
				for n, broke := 0, true; broke; n++ {
					broke = false // else a row that ends early is repeated without end
					t.Run(fmt.Sprintf("%s at write %d", d.Name, n+1), func(t *testing.T) { broke = c.breakAt(t, d, n) })
				}
			}
		})
	}
}

// requestOn sends the change on that storage, by a goroutine that can end with its process.
func (c change) requestOn(m *mount, s *storagetest.Storage) error {
	m.t.Helper()
	whole := m.storage
	m.storage = s
	defer func() { m.storage = whole }()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = m.request(c.op, c.path, c.data)
	}()
	<-done
	return err
}

func (c change) breakAt(t *testing.T, d storagetest.Breakdown, n int) (broke bool) {
	m, w := ready(t, nil)
	if c.prepare != nil {
		c.prepare(m, w)
	}
	before := c.shown(m)
	s := d.At(n, m.storage)
	err := c.requestOn(m, s.Storage)
	if broke = s.Broke(); !broke && n == 0 {
		t.Error("nothing was written, so nothing was tested")
	}
	if broke && d.Dies {
		m.restart()
	}
	after := c.shown(m)
	if err != nil || broke && d.Dies {
		resp, err := m.request(c.op, c.path, c.data)
		made := c.isKey() && after != before // and is not made again
		if err != nil || resp != nil && resp.IsError() && !made {
			t.Errorf("repeated: got %v, %v", resp, err)
		}
	}
	wanted := c.shown(m)
	if wanted == before {
		t.Errorf("it did not change: got %s", wanted)
	}
	if after != before && after != wanted {
		t.Errorf("after the failure it is %s, want\n%s or\n%s", after, before, wanted)
	}
	m.clock.Advance(time.Minute)
	m.must(logical.RollbackOperation, "", nil)
	if s := w.Stats(); s.Alive != 0 || s.Expired != 0 {
		t.Errorf("sessions: got %+v, want all of them logged out", s)
	}
	return broke
}
