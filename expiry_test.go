package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// eventLog is Vault's event system.
type eventLog struct {
	mu     sync.Mutex
	events []string
	err    error
}

func (l *eventLog) SendEvent(_ context.Context, eventType logical.EventType, e *logical.EventData) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	metadata, err := e.Metadata.MarshalJSON()
	if err != nil {
		return err
	}
	l.events = append(l.events, string(eventType)+" "+string(metadata))
	return l.err
}

// take returns what was sent since the last call.
func (l *eventLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return events
}

// listen gives a mount an event system and a log.
func (m *mount) listen(events *eventLog) *bytes.Buffer {
	m.t.Helper()
	var log bytes.Buffer
	conf := &logical.BackendConfig{
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}), System: m.system, StorageView: m.storage, EventsSender: events,
	}
	b := newBackend(conf, m.clock.Now)
	if err := b.Setup(m.t.Context(), conf); err != nil {
		m.t.Fatal(err)
	}
	m.backend = b
	return &log
}

func TestExpiryForecast(t *testing.T) {
	tests := []struct {
		name string
		ttl  string
		want string // in the warning; "" for none
	}{
		{"long", "800h", ""},
		{"a month", "720h", "in 30 days"},
		{"soon", "49h", "in 2 days"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := ready(t, nil)
			var events eventLog
			log := m.listen(&events)
			m.write("keys/k/generate", map[string]any{settings.FieldCertificateTTL: tt.ttl})
			config := m.write("config", map[string]any{settings.FieldKey: "k"})
			events.take()
			for name, resp := range map[string]*logical.Response{
				"config write": config,
				"config read":  m.must(logical.ReadOperation, "config", nil),
				"keys/k":       m.must(logical.ReadOperation, "keys/k", nil),
				"check":        m.write("check", nil),
			} {
				var warnings string
				if resp != nil {
					warnings = strings.Join(resp.Warnings, "\n")
				}
				if (tt.want == "") != (warnings == "") || !strings.Contains(warnings, tt.want) {
					t.Errorf("%s: warnings: got %q, want %q", name, warnings, tt.want)
				}
			}
			// Once a day in the log and as an event, of keys in use alone.
			for day, want := range []int{1, 1, 2} {
				if day == 2 {
					m.clock.Advance(24 * time.Hour)
				}
				m.periodic()
				if tt.want == "" {
					want = 0
				}
				if got := strings.Count(log.String(), "[WARN]"); got != want {
					t.Errorf("run %d: got %d warnings in the log, want %d:\n%s", day, got, want, log)
				}
			}
			sent := events.take()
			if tt.want == "" && len(sent) > 0 || tt.want != "" && (len(sent) != 2 || !strings.HasPrefix(sent[0], "workfront/key-expiring ")) {
				t.Errorf("events: got %q", sent)
			}
			if tt.want == "" {
				return
			}
			m.clock.Advance(800 * time.Hour)
			if warnings := m.must(logical.ReadOperation, "keys/k", nil).Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "expired at") {
				t.Errorf("after its end: warnings: got %q", warnings)
			}
		})
	}
}

func (m *mount) periodic() {
	m.t.Helper()
	if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
		m.t.Fatalf("periodic: %v", err)
	}
}

// Events tell of changes and of pending logouts, not of each session, and hold no secret.
func TestEvents(t *testing.T) {
	m, w := ready(t, nil)
	for _, failing := range []bool{false, true} {
		events := &eventLog{}
		if failing {
			events.err = errors.New("no event system")
		}
		m.listen(events)
		m.write("keys/k/generate", nil)
		m.write("config", map[string]any{settings.FieldTTL: "5m"})
		m.write("roles/r", nil)
		m.readTokenAt("token/r", nil).revoke()
		m.must(logical.DeleteOperation, "roles/r", nil)
		m.must(logical.DeleteOperation, "keys/k", nil)
		l := m.readToken(nil)
		remove := w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
		l.revoke()
		remove()
		m.clock.Advance(time.Minute)
		m.periodic()
		m.must(logical.DeleteOperation, "config", nil)
		var got []string
		sent := events.take()
		for _, e := range sent {
			got = append(got, strings.Fields(e)[0])
		}
		want := "workfront/key-create workfront/config-write workfront/role-write workfront/role-delete workfront/key-delete " +
			"workfront/logout-pending workfront/logout-finished workfront/config-delete"
		// The test key ends within a day.
		if got := strings.ReplaceAll(strings.Join(got, " "), " workfront/key-expiring", ""); got != want {
			t.Errorf("failing %t: got %s, want %s", failing, got, want)
		}
		for _, secret := range []string{l.token(), w.App.ClientSecret, "PRIVATE"} {
			if strings.Contains(strings.Join(sent, "\n"), secret) {
				t.Errorf("an event holds a secret: %s", sent)
			}
		}
		if text := strings.Join(sent, "\n"); !strings.Contains(text, l.data[fieldSessionID].(string)) || !strings.Contains(text, "keys/k") {
			t.Errorf("the events do not say what they are about: %s", text)
		}
		m.write("config", w.settings(nil))
	}
}
