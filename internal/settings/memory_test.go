package settings_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// outcome is what storage reports of a write, and what becomes of it.
type outcome struct {
	name string
	// script prepares the storage for the write, and returns what is to be done before memory is looked at.
	script func(f *fixture, leave context.CancelFunc) (then func())
}

var outcomes = []outcome{
	{"succeeds", func(*fixture, context.CancelFunc) func() { return func() {} }},
	{"fails, but is carried out", func(f *fixture, _ context.CancelFunc) func() {
		f.storage.Script(storagetest.Rule{On: storagetest.Writes, Then: storagetest.FailLate(storagetest.ErrBroken)})
		return func() {}
	}},
	{"outlives its client", func(f *fixture, leave context.CancelFunc) func() {
		f.storage.Script(storagetest.Rule{
			On: storagetest.Writes,
			Then: func(ctx context.Context, _ storagetest.Call, next storagetest.Next) error {
				if err := next(ctx); err != nil {
					return err
				}
				leave()
				return ctx.Err() // as a client of gRPC does
			},
		})
		return func() {}
	}},
	{"fails, and is carried out later", func(f *fixture, _ context.CancelFunc) func() {
		var key string
		f.storage.Script(storagetest.Rule{
			On: storagetest.Writes,
			Then: func(_ context.Context, c storagetest.Call, _ storagetest.Next) error {
				key = c.Key
				return storagetest.ErrBroken
			},
		})
		return func() {
			f.storage.Script()
			f.resolve("r") // by what is still stored
			if key == "config" {
				f.replace(key, "first", "second")
			} else {
				f.put(key, `{"version":1,"user_id":"second"}`)
			}
		}
	}},
}

// Rule: after every write that may have arrived, whatever it returned, memory of it is dropped.
func TestMemoryIsDroppedWhateverAWriteReturns(t *testing.T) {
	writes := []struct {
		name  string
		write func(ctx context.Context, f *fixture) error
		got   func(f *fixture) string
	}{
		{"config", func(ctx context.Context, f *fixture) error {
			_, err := f.WriteConfig(ctx, f.storage, mount, settings.ConfigWrite{Changes: settings.Changes{settings.FieldClientSecret: "second"}})
			return err
		}, func(f *fixture) string { return f.resolve("r").Source.ClientSecret }},
		{"role", func(ctx context.Context, f *fixture) error {
			_, err := f.WriteRole(ctx, f.storage, mount, "r", settings.RoleWrite{Changes: settings.Changes{settings.FieldUserID: "second"}})
			return err
		}, func(f *fixture) string { return f.resolve("r").Source.UserID }},
	}
	for _, w := range writes {
		for _, o := range outcomes {
			t.Run(w.name+" "+o.name, func(t *testing.T) {
				f := newFixture(t, nil)
				f.writeRole("r", nil)
				f.resolve("r")
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				then := o.script(f, leave)
				_ = w.write(ctx, f)
				then()
				f.storage.Script()
				if got := w.got(f); got != "second" {
					t.Errorf("resolved after the write: got %q, want what is stored", got)
				}
			})
		}
	}
}

func TestMemoryIsDroppedWhateverADeletionReturns(t *testing.T) {
	deletions := map[string]func(ctx context.Context, f *fixture) error{
		"config": func(ctx context.Context, f *fixture) error { return f.DeleteConfig(ctx, f.storage) },
		"role":   func(ctx context.Context, f *fixture) error { return f.DeleteRole(ctx, f.storage, "r") },
		"key": func(ctx context.Context, f *fixture) error { // a damaged one goes even if it is in use
			f.put("keys/default", "damaged")
			_, err := f.DeleteKey(ctx, f.storage, mount, "default")
			return err
		},
	}
	for name, del := range deletions {
		for _, o := range outcomes[:3] {
			t.Run(name+" "+o.name, func(t *testing.T) {
				f := newFixture(t, nil)
				f.writeRole("r", nil)
				f.resolve("r")
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				o.script(f, leave)
				_ = del(ctx, f)
				f.storage.Script()
				if _, err := f.Resolve(t.Context(), f.storage, mount, "r"); err == nil {
					t.Error("what was deleted is resolved from memory")
				}
			})
		}
	}
}

// A write that failed is not distrusted for ever: parsing a key for each read is dear.
func TestMemoryIsKeptAgainAMinuteAfterAFailedWrite(t *testing.T) {
	f := newFixture(t, nil)
	f.storage.Script(storagetest.Rule{On: storagetest.Put, Then: storagetest.Fail(storagetest.ErrBroken)})
	if _, err := f.WriteRole(t.Context(), f.storage, mount, "r", settings.RoleWrite{}); !errors.Is(err, storagetest.ErrBroken) {
		t.Fatalf("got %v, want %v", err, storagetest.ErrBroken)
	}
	if first, second := f.resolve(""), f.resolve(""); first == second {
		t.Error("settings are kept right after a write that failed")
	}
	f.now = f.now.Add(time.Minute)
	if first, second := f.resolve(""), f.resolve(""); first != second {
		t.Error("settings are not kept a minute after a write that failed")
	}
}

// What another node writes arrives as Invalidate.
func TestInvalidate(t *testing.T) {
	for _, tt := range []struct {
		key   string
		drops bool
	}{
		{"config", true},
		{"keys/default", true},
		{"roles/r", true},
		{"session/0", false},
		{"current/config", false},
		{"current/roles/r", false},
		{"configuration", false},
	} {
		t.Run(tt.key, func(t *testing.T) {
			f := newFixture(t, nil)
			f.writeRole("r", nil)
			kept := f.resolve("r")
			f.Invalidate(tt.key)
			if dropped := f.resolve("r") != kept; dropped != tt.drops {
				t.Errorf("dropped: got %t, want %t", dropped, tt.drops)
			}
		})
	}
}

// What is read while something is written may be the old, so it is used once and not kept.
func TestSettingsThatWereDroppedMeanwhileAreNotKept(t *testing.T) {
	f := newFixture(t, nil)
	f.storage.Script(storagetest.Rule{
		On: storagetest.Get, Prefix: "keys/default", Times: 1, // config is read already
		Then: storagetest.First(func() {
			f.replace("config", "first", "second")
			f.Invalidate("config")
		}),
	})
	if got := f.resolve("").Source.ClientSecret; got != "first" {
		t.Fatalf("got %q, want what was read", got)
	}
	if got := f.resolve("").Source.ClientSecret; got != "second" {
		t.Errorf("got %q, want what is stored now", got)
	}
}
