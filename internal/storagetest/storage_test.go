package storagetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/storagetest"
)

func put(ctx context.Context, s logical.Storage, key string) error {
	return s.Put(ctx, &logical.StorageEntry{Key: key, Value: []byte("v")})
}

func TestRulesConcern(t *testing.T) {
	fail := storagetest.Fail(storagetest.ErrBroken)
	tests := []struct {
		name string
		rule storagetest.Rule
		want string // what becomes of two rounds of all operations on a/x and b/x
	}{
		{"nothing", storagetest.Rule{Then: fail}, "................"},
		{"everything", storagetest.Rule{On: storagetest.Any, Then: fail}, "xxxxxxxxxxxxxxxx"},
		{"reads", storagetest.Rule{On: storagetest.Reads, Then: fail}, "x..xx..xx..xx..x"},
		{"deletes", storagetest.Rule{On: storagetest.Delete, Then: fail}, "..x...x...x...x."},
		{"a prefix", storagetest.Rule{On: storagetest.Any, Prefix: "b/", Then: fail}, "....xxxx....xxxx"},
		{"all but the first", storagetest.Rule{On: storagetest.Put, Skip: 1, Then: fail}, ".....x...x...x.."},
		{"two", storagetest.Rule{On: storagetest.Put, Times: 2, Then: fail}, ".x...x.........."},
		{"the third", storagetest.Rule{On: storagetest.Put, Skip: 2, Times: 1, Then: fail}, ".........x......"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storagetest.New(tt.rule)
			got := ""
			note := func(err error) {
				if got += "."; err != nil {
					got = got[:len(got)-1] + "x"
				}
			}
			for range 2 {
				for _, folder := range []string{"a/", "b/"} {
					_, err := s.Get(t.Context(), folder+"x")
					note(err)
					note(put(t.Context(), s, folder+"x"))
					note(s.Delete(t.Context(), folder+"x"))
					_, err = s.List(t.Context(), folder)
					note(err)
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if n := s.Calls(storagetest.Any); n != 16 {
				t.Errorf("calls: got %d, want 16", n)
			}
		})
	}
}

func TestActions(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	opened, shut := storagetest.NewGate(), storagetest.NewGate()
	opened.Open()
	tests := []struct {
		name   string
		ctx    context.Context
		then   storagetest.Action
		want   error
		stored bool
	}{
		{"fail", t.Context(), storagetest.Fail(storagetest.ErrBroken), storagetest.ErrBroken, false},
		{"fail late", t.Context(), storagetest.FailLate(storagetest.ErrBroken), storagetest.ErrBroken, true},
		{"fail late, not carried out", gone, storagetest.FailLate(storagetest.ErrBroken), context.Canceled, false},
		{"hang", gone, storagetest.Hang, context.Canceled, false},
		{"detach", gone, storagetest.Detach, nil, true},
		{"first", t.Context(), storagetest.First(func() {}), nil, true},
		{"an open gate", t.Context(), opened.Hold, nil, true},
		{"a closed gate", gone, shut.Hold, context.Canceled, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := storagetest.New(storagetest.Rule{On: storagetest.Any, Then: tt.then})
			if err := put(tt.ctx, s, "k"); !errors.Is(err, tt.want) {
				t.Errorf("put: got %v, want %v", err, tt.want)
			}
			if got := s.Value(t, "k") == "v"; got != tt.stored {
				t.Errorf("carried out: got %t, want %t", got, tt.stored)
			}
			s.Set(t, "k", "v")
			entry, err := s.Get(tt.ctx, "k")
			if !errors.Is(err, tt.want) || (entry == nil) != (tt.want != nil) {
				t.Errorf("get: got %v, %v; want %v", entry, err, tt.want)
			}
		})
	}
}

// A call that is held up holds up no other, and goes on by the script of its beginning.
func TestCallsRunInParallel(t *testing.T) {
	s, gate := storagetest.New(), storagetest.NewGate()
	s.Script(
		storagetest.Rule{On: storagetest.Put, Times: 1, Then: gate.Hold},
		storagetest.Rule{On: storagetest.Put, Then: storagetest.FailLate(storagetest.ErrBroken)},
	)
	held := make(chan error)
	go func() { held <- put(t.Context(), s, "held") }()
	<-gate.Reached
	s.Script()
	if err := put(t.Context(), s, "free"); err != nil {
		t.Error(err)
	}
	gate.Open()
	if err := <-held; !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want the error of the rule behind the gate", err)
	}
	if got, want := s.Keys(t), []string{"free", "held"}; !slices.Equal(got, want) {
		t.Errorf("stored: got %q, want %q", got, want)
	}
}

func TestViewFollowsBothScripts(t *testing.T) {
	beneath := storagetest.New()
	fail := storagetest.Fail(storagetest.ErrBroken)
	view := storagetest.Over(beneath, storagetest.Rule{On: storagetest.Put, Prefix: "a", Then: fail})
	beneath.Script(storagetest.ReadOnly)
	if err := put(t.Context(), view, "a"); !errors.Is(err, storagetest.ErrBroken) {
		t.Errorf("got %v, want that of the view", err)
	}
	if err := put(t.Context(), view, "b"); !errors.Is(err, logical.ErrReadOnly) {
		t.Errorf("got %v, want that of the storage beneath", err)
	}
	if view.Calls(storagetest.Put) != 2 || beneath.Calls(storagetest.Put) != 1 {
		t.Errorf("calls: got %d and %d, want 2 and 1", view.Calls(storagetest.Put), beneath.Calls(storagetest.Put))
	}
}

func TestBreakdowns(t *testing.T) {
	want := map[string]string{ // what four writes return, if the third breaks, and what they leave
		"storage fails": "ok ok broken broken [0 1]", "storage fails, but carries out": "ok ok broken broken [0 1 2 3]",
		"one write fails": "ok ok broken ok [0 1 3]", "one write fails, but is carried out": "ok ok broken ok [0 1 2 3]",
		"process dies before": "ok ok dead dead [0 1]", "process dies after": "ok ok dead dead [0 1 2]",
	}
	for _, d := range storagetest.Breakdowns {
		t.Run(d.Name, func(t *testing.T) {
			whole := storagetest.New()
			s := d.At(2, whole)
			got := ""
			for i := range 4 {
				if s.Broke() != (i > 2) {
					t.Errorf("broke before write %d: got %t", i+1, s.Broke())
				}
				ended, outcome := make(chan struct{}), "dead"
				go func() {
					defer close(ended)
					outcome = map[error]string{nil: "ok", storagetest.ErrBroken: "broken"}[put(t.Context(), s, fmt.Sprint(i))]
				}()
				<-ended
				got += outcome + " "
			}
			if got += fmt.Sprint(whole.Keys(t)); got != want[d.Name] {
				t.Errorf("got %q, want %q", got, want[d.Name])
			}
			select {
			case <-s.Dead:
				if !d.Dies {
					t.Error("the process died")
				}
			default:
				if d.Dies {
					t.Error("the process did not die")
				}
			}
			calls := whole.Calls(storagetest.Get)
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = s.Get(t.Context(), "0")
			}()
			<-read
			if came := whole.Calls(storagetest.Get) > calls; came == d.Dies {
				t.Errorf("a read that came later was carried out: %t", came)
			}
		})
	}
}
