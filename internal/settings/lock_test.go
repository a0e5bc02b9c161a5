package settings_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// verified returns a patch that is verified.
func verified(c settings.Changes, verify func(context.Context, *settings.Resolved) error) settings.ConfigWrite {
	return settings.ConfigWrite{Changes: c, Patch: true, Verify: verify}
}

// Rule: no lock is held across a call to Workfront.
func TestNothingIsHeldWhileSettingsAreVerified(t *testing.T) {
	f := newFixture(t, nil)
	f.importKey("spare")
	f.writeRole("old", nil)
	_, err := f.WriteConfig(t.Context(), f.storage, mount, verified(settings.Changes{settings.FieldTTL: time.Minute},
		func(ctx context.Context, _ *settings.Resolved) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			f.importKey("new")
			_, generated := f.GenerateKey(ctx, f.storage, "generated", 2048, nil)
			_, written := f.WriteRole(ctx, f.storage, mount, "new", settings.RoleWrite{})
			_, deleted := f.DeleteKey(ctx, f.storage, mount, "spare")
			return errors.Join(generated, written, deleted, f.DeleteRole(ctx, f.storage, "old"))
		}))
	if err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// What others wrote during the verification is neither lost nor stored unproven.
func TestSettingsThatChangeWhileTheyAreVerified(t *testing.T) {
	f := newFixture(t, nil)
	var seen []string
	_, err := f.WriteConfig(t.Context(), f.storage, mount, verified(settings.Changes{settings.FieldTTL: time.Minute},
		func(_ context.Context, r *settings.Resolved) error {
			if seen = append(seen, r.Source.UserID); len(seen) == 1 {
				f.write(settings.Changes{settings.FieldUserID: "another"})
			}
			return nil
		}))
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	if len(seen) != 2 || seen[1] != "another" {
		t.Errorf("verified for %q, want a second time, for another", seen)
	}
	if r := f.resolve(""); r.Source.UserID != "another" || r.TTL != time.Minute {
		t.Errorf("stored: got user %s, ttl %s; want both changes", r.Source.UserID, r.TTL)
	}
}

func TestSettingsThatAreNotStoredAfterTheirVerification(t *testing.T) {
	tests := []struct {
		name    string
		during  func(f *fixture, n int, leave context.CancelFunc)
		check   func(t *testing.T, err error)
		ttl     time.Duration
		deleted bool
	}{
		{name: "overtaken twice", during: func(f *fixture, n int, _ context.CancelFunc) {
			f.write(settings.Changes{settings.FieldTTL: time.Duration(n) * time.Hour})
		}, check: func(t *testing.T, err error) { wantBusy(t, err, "not stored") }, ttl: 2 * time.Hour},
		{name: "config is deleted", during: func(f *fixture, _ int, _ context.CancelFunc) {
			if err := f.DeleteConfig(f.t.Context(), f.storage); err != nil {
				f.t.Error(err)
			}
		}, check: func(t *testing.T, err error) {
			if !errors.Is(err, settings.ErrNotFound) {
				t.Errorf("got %v, want %v", err, settings.ErrNotFound)
			}
		}, deleted: true},
		{name: "its key is deleted", during: func(f *fixture, _ int, _ context.CancelFunc) {
			if _, err := f.DeleteKey(f.t.Context(), f.storage, mount, "new"); err != nil {
				f.t.Error(err)
			}
		}, check: func(t *testing.T, err error) { wantInputError(t, err, "not stored", `"new"`) }},
		{name: "its key is another one each time", during: func(f *fixture, n int, _ context.CancelFunc) {
			if _, err := f.DeleteKey(f.t.Context(), f.storage, mount, "new"); err != nil {
				f.t.Error(err)
			}
			f.importAs("new", testKeys()[n%2])
		}, check: func(t *testing.T, err error) { wantBusy(t, err, "not stored") }},
		{name: "its client leaves", during: func(_ *fixture, _ int, leave context.CancelFunc) { leave() }, check: func(t *testing.T, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		}},
		{name: "it fails", during: nil, check: func(t *testing.T, err error) {
			if !errors.Is(err, storagetest.ErrBroken) {
				t.Errorf("got %v, want %v", err, storagetest.ErrBroken)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.importKey("new")
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			n := 0
			_, err := f.WriteConfig(ctx, f.storage, mount, verified(settings.Changes{settings.FieldKey: "new"},
				func(context.Context, *settings.Resolved) error {
					if n++; tt.during == nil {
						return storagetest.ErrBroken
					}
					tt.during(f, n, leave)
					return nil
				}))
			tt.check(t, err)
			c, err := f.Config(t.Context(), f.storage)
			switch {
			case err != nil || (c == nil) != tt.deleted:
				t.Errorf("config: got %v, %v", c, err)
			case c != nil && (c.Key != "default" || c.TTL != tt.ttl):
				t.Errorf("config: got key %s, ttl %s; want default, %s", c.Key, c.TTL, tt.ttl)
			}
		})
	}
}

// Rule: a change of where the secret goes is refused before anything is sent there.
func TestVerificationComesAfterTheGuardOfTheSecret(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.WriteConfig(t.Context(), f.storage, mount, verified(settings.Changes{settings.FieldBaseURL: "https://other.my.workfront.com"},
		func(context.Context, *settings.Resolved) error {
			t.Error("verified all the same")
			return nil
		}))
	wantInputError(t, err, settings.FieldBaseURL, settings.FieldClientSecret)
}

// slowGenerator is key generation that takes as long as the test wants.
func slowGenerator() (generate func(int, signingkey.Certification) (*signingkey.Key, error), started, finish chan struct{}) {
	started, finish = make(chan struct{}), make(chan struct{})
	return func(int, signingkey.Certification) (*signingkey.Key, error) {
		close(started)
		<-finish
		return testKeys()[1], nil
	}, started, finish
}

// Rule: nobody waits for the generation of a key but the one who asked for it, and there is one at a time.
func TestNothingIsHeldWhileAKeyIsGenerated(t *testing.T) {
	generate, started, finish := slowGenerator()
	f := newFixture(t, generate)
	done := make(chan error)
	go func() {
		_, err := f.GenerateKey(t.Context(), f.storage, "slow", 4096, nil)
		done <- err
	}()
	<-started
	f.writeRole("r", nil)
	f.importKey("other")
	_, err := f.GenerateKey(t.Context(), f.storage, "second", 2048, nil)
	wantBusy(t, err, "one is at a time")
	_, err = f.GenerateKey(t.Context(), f.storage, "default", 2048, nil)
	wantInputError(t, err, "never overwritten") // is said at once
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("got %v, want a key", err)
	}
	key, err := f.Key(t.Context(), f.storage, "slow")
	if err != nil || key == nil || !key.Private.Equal(testKeys()[1].Private) {
		t.Errorf("got %v, %v; want the key that was generated", key, err)
	}
}

func TestGeneratedKeysThatAreNotStored(t *testing.T) {
	tests := []struct {
		name   string
		during func(f *fixture, leave context.CancelFunc)
		check  func(t *testing.T, err error)
		stored bool
	}{
		{"its client leaves", func(_ *fixture, leave context.CancelFunc) { leave() }, func(t *testing.T, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
		}, false},
		{"its name is taken", func(f *fixture, _ context.CancelFunc) { f.importKey("k") }, func(t *testing.T, err error) {
			wantInputError(t, err, "never overwritten")
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			generate, started, finish := slowGenerator()
			f := newFixture(t, generate)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			done := make(chan error)
			go func() {
				_, err := f.GenerateKey(ctx, f.storage, "k", 4096, nil)
				done <- err
			}()
			<-started
			tt.during(f, leave)
			close(finish)
			tt.check(t, <-done)
			key, err := f.Key(t.Context(), f.storage, "k")
			if err != nil || (key != nil) != tt.stored || tt.stored && !key.Private.Equal(testKeys()[0].Private) {
				t.Errorf("got key %v, %v", key, err)
			}
		})
	}
}

// meanwhile runs another request while the first put of key is under way, until it can get no further.
func (f *fixture) meanwhile(key string, request func()) (finished chan struct{}) {
	finished = make(chan struct{})
	f.storage.Script(storagetest.Rule{
		On: storagetest.Put, Prefix: key, Times: 1,
		Then: storagetest.First(func() {
			go func() {
				defer close(finished)
				request()
			}()
			synctest.Wait()
		}),
	})
	return finished
}

// Two requests that change different fields at the same time both have their way.
func TestNoChangeIsLost(t *testing.T) {
	testKeys() // outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		finished := f.meanwhile("config", func() { f.write(settings.Changes{settings.FieldMaxTTL: time.Hour}) })
		f.write(settings.Changes{settings.FieldTTL: time.Minute})
		<-finished
		if c, err := f.Config(t.Context(), f.storage); err != nil || c.TTL != time.Minute || c.MaxTTL != time.Hour {
			t.Errorf("got %+v, %v; want both changes", c, err)
		}
		f.writeRole("r", nil)
		finished = f.meanwhile("roles/r", func() { f.writeRole("r", settings.Changes{settings.FieldMaxTTL: time.Hour}) })
		f.writeRole("r", settings.Changes{settings.FieldTTL: time.Minute})
		<-finished
		if r, err := f.Role(t.Context(), f.storage, "r"); err != nil || r.TTL != time.Minute || r.MaxTTL != time.Hour {
			t.Errorf("got %+v, %v; want both changes", r, err)
		}
	})
}

// A key is not deleted while something is written that names it.
func TestNoKeyIsDeletedWhileItComesIntoUse(t *testing.T) {
	testKeys()
	writes := map[string]func(f *fixture){
		"config":  func(f *fixture) { f.write(settings.Changes{settings.FieldKey: "k"}) },
		"roles/r": func(f *fixture) { f.writeRole("r", settings.Changes{settings.FieldKey: "k"}) },
	}
	for key, write := range writes {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, nil)
				f.importKey("k")
				finished := f.meanwhile(key, func() {
					_, err := f.DeleteKey(t.Context(), f.storage, mount, "k")
					wantInputError(t, err, "in use by "+key)
				})
				write(f)
				<-finished
			})
		})
	}
}

// Who waits for others leaves with the client.
func TestWaitingForAnotherWriteEndsWithTheClient(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		ctx, leave := context.WithCancel(t.Context())
		f.storage.Script(storagetest.Rule{
			On: storagetest.Put, Prefix: "config", Times: 1,
			Then: storagetest.First(func() {
				waiting := make(chan error)
				go func() { waiting <- f.DeleteRole(ctx, f.storage, "r") }()
				synctest.Wait()
				leave()
				if err := <-waiting; !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want %v", err, context.Canceled)
				}
			}),
		})
		f.write(settings.Changes{settings.FieldTTL: time.Minute})
	})
}
