package settings_test

import (
	"context"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// remembered are the things that memory keeps of settings. change writes storage behind the Store's back, without an
// Invalidate, and got returns what the Store says then.
var remembered = []struct {
	name   string
	change func(f *fixture)
	got    func(f *fixture) string
}{
	{
		"config", func(f *fixture) { f.replace("config", "first", "changed") },
		func(f *fixture) string { return f.resolve("").Source.ClientSecret },
	},
	{
		"role", func(f *fixture) { f.put("roles/r", `{"version":1,"user_id":"changed"}`) },
		func(f *fixture) string { return f.resolve("r").Source.UserID },
	},
	{"deletion of a role", func(f *fixture) { f.remove("roles/r") }, func(f *fixture) string {
		if _, err := f.Resolve(f.t.Context(), f.storage, mount, "r"); err != nil {
			return "changed"
		}
		return ""
	}},
	{"key", func(f *fixture) { f.otherKey() }, func(f *fixture) string {
		if f.resolve("").Key.Private.Equal(testKeys()[1].Private) {
			return "changed"
		}
		return ""
	}},
	{"trust", func(f *fixture) { f.replace("config", f.secretID(), "changed") }, func(f *fixture) string {
		got, err := f.Trust(f.t.Context(), f.storage)
		if err != nil {
			f.t.Fatal(err)
		}
		return got.SecretID
	}},
	{"expiry of a key", func(f *fixture) { f.put("keys/default", "damaged") }, func(f *fixture) string {
		got, err := f.Expiries(f.t.Context(), f.storage)
		if err != nil {
			f.t.Fatal(err)
		}
		if got["default"].IsZero() {
			return "changed"
		}
		return ""
	}},
}

func (f *fixture) remove(key string) {
	f.t.Helper()
	if err := f.storage.Delete(f.t.Context(), key); err != nil {
		f.t.Fatal(err)
	}
}

// otherKey replaces the key called default by another one.
func (f *fixture) otherKey() {
	f.t.Helper()
	f.importAs("other", testKeys()[1])
	f.put("keys/default", f.value("keys/other"))
}

// Rule: config, roles, keys and trust are remembered for a minute at most, whatever happened. A deletion that storage carries
// out late, for example, drops nothing from memory.
func TestMemoryIsAMinuteOldAtMost(t *testing.T) {
	passes := map[string]func(c *workfronttest.Clock){
		"a minute passes":                       func(c *workfronttest.Clock) { c.Advance(time.Minute) },
		"the machine is suspended for a minute": func(c *workfronttest.Clock) { c.Suspend(time.Minute) },
		"the wall clock is set back":            func(c *workfronttest.Clock) { c.Suspend(-time.Hour) },
		"a minute passes, and the wall clock is set back by it": func(c *workfronttest.Clock) {
			c.Advance(time.Minute)
			c.Suspend(-time.Minute)
		},
	}
	for _, r := range remembered {
		for name, pass := range passes {
			t.Run(r.name+", "+name, func(t *testing.T) {
				f := newFixture(t, nil)
				clock := workfronttest.NewClock()
				f.Store = settings.New(settings.Options{Now: clock.Reading})
				f.writeRole("r", settings.Changes{settings.FieldUserID: "first"})
				r.got(f)
				f.behindItsBack(r.change)
				for range 59 {
					if got := r.got(f); got == "changed" {
						t.Fatal("nothing is remembered")
					}
					clock.Advance(time.Second)
				}
				clock.Advance(-59 * time.Second)
				pass(clock)
				if got := r.got(f); got != "changed" {
					t.Errorf("got %q, want what is stored", got)
				}
			})
		}
	}
}

// behindItsBack changes storage while another Store stands in for this one.
func (f *fixture) behindItsBack(change func(*fixture)) {
	other := *f
	other.Store = settings.New(settings.Options{Now: time.Now})
	change(&other)
}

// Storage carries a write out, and says so much later: what was remembered does not count any more.
func TestNothingIsRememberedDuringAWrite(t *testing.T) {
	f := newFixture(t, nil)
	f.writeRole("r", nil)
	f.resolve("r")
	looked := false
	f.storage.Script(storagetest.Rule{
		On: storagetest.Delete, Prefix: "roles/r",
		Then: func(ctx context.Context, _ storagetest.Call, next storagetest.Next) error {
			f.resolve("r") // as it was; it is not kept
			if err := next(ctx); err != nil {
				return err
			}
			looked = true
			if _, err := f.Resolve(t.Context(), f.storage, mount, "r"); err == nil {
				t.Error("a role that storage has deleted was resolved from memory")
			}
			return nil
		},
	})
	if err := f.DeleteRole(t.Context(), f.storage, "r"); err != nil || !looked {
		t.Errorf("got %v, looked %t", err, looked)
	}
}
