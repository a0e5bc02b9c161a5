package main

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/storagetest"
)

// countedView counts what the plugin asks Vault. It is broken as the SDK's client is when its calls fail.
type countedView struct {
	logical.StaticSystemView
	calls  int
	broken bool
	asked  func() // if it is set, called with the answer on its way
}

func (v *countedView) ask() bool {
	v.calls++
	if v.asked != nil {
		v.asked()
	}
	return !v.broken
}

func (v *countedView) DefaultLeaseTTL() time.Duration {
	d := v.DefaultLeaseTTLVal
	if !v.ask() {
		return 0
	}
	return d
}

func (v *countedView) MaxLeaseTTL() time.Duration {
	d := v.MaxLeaseTTLVal
	if !v.ask() {
		return 0
	}
	return d
}

func (v *countedView) ReplicationState() consts.ReplicationState {
	s := v.ReplicationStateVal
	if !v.ask() {
		return consts.ReplicationUnknown
	}
	return s
}

func (v *countedView) LocalMount() bool { return v.ask() && v.LocalMountVal }

func newCountedView() *countedView {
	v := &countedView{StaticSystemView: *logical.TestSystemView()}
	v.ReplicationStateVal = consts.ReplicationPerformanceDisabled | consts.ReplicationDRDisabled
	v.DefaultLeaseTTLVal, v.MaxLeaseTTLVal = time.Hour, 2*time.Hour
	return v
}

// over has a mount ask that view.
func (m *mount) over(v logical.SystemView) {
	m.t.Helper()
	conf := &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: v, StorageView: m.storage}
	b := newBackend(conf, m.clock.Now)
	if err := b.Setup(m.t.Context(), conf); err != nil {
		m.t.Fatal(err)
	}
	m.backend = b
}

// askAll asks for all that is remembered.
func askAll(v logical.SystemView) {
	v.DefaultLeaseTTL()
	v.MaxLeaseTTL()
	v.ReplicationState()
	v.LocalMount()
}

// Rule: on the path of a read the plugin asks Vault for storage alone.
func TestReadsAskVaultForStorageAlone(t *testing.T) {
	for _, local := range []bool{false, true} {
		m, _ := ready(t, nil)
		v := newCountedView()
		v.LocalMountVal = local
		m.over(v)
		m.write("roles/r", map[string]any{"share_session": true})
		m.readTokenAt("token/r", nil)
		v.calls = 0
		for range 1000 {
			m.readTokenAt("token/r", nil)
		}
		if v.calls != 0 {
			t.Errorf("local %t: calls to Vault in 1,000 reads: got %d, want none", local, v.calls)
		}
	}
}

func TestSystemMemory(t *testing.T) {
	m := newMount(t)
	v := newCountedView()
	view, memory := remember(v, m.clock.Now)
	change := func(d time.Duration) { v.DefaultLeaseTTLVal, v.MaxLeaseTTLVal = d, 2*d }
	want := func(what string, d time.Duration) {
		t.Helper()
		if view.DefaultLeaseTTL() != d || view.MaxLeaseTTL() != 2*d {
			t.Errorf("%s: got %s, %s; want %s, %s", what, view.DefaultLeaseTTL(), view.MaxLeaseTTL(), d, 2*d)
		}
	}
	want("asked", time.Hour)
	change(time.Minute)
	m.clock.Advance(rememberFor - time.Second)
	want("remembered", time.Hour)
	m.clock.Advance(time.Second)
	want("asked again", time.Minute)
	change(time.Second)
	memory.drop()
	want("dropped", time.Second)

	// An answer that comes after a drop was given before it.
	memory.drop()
	v.asked = func() { v.asked = nil; change(time.Hour); memory.drop() }
	if got := view.DefaultLeaseTTL(); got != time.Second {
		t.Errorf("asked before the drop: got %s, want 1s", got)
	}
	want("after the drop", time.Hour)
}

// An answer that is none is not remembered: it stands for a call that has failed.
func TestSystemMemoryOfFailedCalls(t *testing.T) {
	m := newMount(t)
	v := newCountedView()
	v.broken, v.LocalMountVal = true, true
	view, _ := remember(v, m.clock.Now)
	askAll(view)
	if view.LocalMount() || view.DefaultLeaseTTL() != 0 || view.MaxLeaseTTL() != 0 || view.ReplicationState() != consts.ReplicationUnknown {
		t.Error("a broken view answers")
	}
	v.broken = false
	if !view.LocalMount() || view.DefaultLeaseTTL() != time.Hour || view.MaxLeaseTTL() != 2*time.Hour || view.ReplicationState() == consts.ReplicationUnknown {
		t.Error("an answer that was none is remembered")
	}
}

func TestInvalidateDropsWhatVaultHasAnswered(t *testing.T) {
	m := newMount(t)
	v := newCountedView()
	m.over(v)
	askAll(m.backend.System())
	v.calls = 0
	m.backend.InvalidateKey(t.Context(), "anything")
	askAll(m.backend.System())
	if v.calls == 0 {
		t.Error("nothing is asked again after Invalidate")
	}
}

// sourcingView has randomness of its own, as Vault Enterprise may.
type sourcingView struct{ logical.SystemView }

func (sourcingView) GetRandom(n int) ([]byte, error) { return make([]byte, n), nil }

// A view that remembers can do what the one that it asks can do, and nothing else.
func TestSystemMemoryHandsOn(t *testing.T) {
	static := logical.TestSystemView()
	static.SetPasswordPolicy("p", func() (string, error) { return "generated", nil })
	both := struct {
		*logical.StaticSystemView
		randomSource
	}{static, sourcingView{}}
	for name, view := range map[string]logical.SystemView{
		"extended": extendedView{static}, "plain": struct{ logical.SystemView }{static}, "source": sourcingView{static}, "both": extendedSource{extendedView{static}, both},
	} {
		t.Run(name, func(t *testing.T) {
			wrapped, _ := remember(view, time.Now)
			_, extended := view.(logical.ExtendedSystemView)
			_, gotExtended := wrapped.(logical.ExtendedSystemView)
			_, wellKnown := wrapped.(logical.WellKnownSystemView)
			_, source := view.(randomSource)
			_, gotSource := wrapped.(randomSource)
			if gotExtended != extended || wellKnown != extended || gotSource != source {
				t.Errorf("got extended %t, well-known %t, source %t; want %t, %t, %t", gotExtended, wellKnown, gotSource, extended, extended, source)
			}
			if password, err := wrapped.GeneratePasswordFromPolicy(t.Context(), "p"); err != nil || password != "generated" {
				t.Errorf("password: got %q, %v", password, err)
			}
		})
	}
}

// extendedView is what a builtin plugin is given.
type extendedView struct{ *logical.StaticSystemView }

func (extendedView) RequestWellKnownRedirect(context.Context, string, string) error { return nil }
func (extendedView) DeregisterWellKnownRedirect(context.Context, string) bool       { return true }

type extendedSource struct {
	extendedView
	randomSource
}

// A node that has been demoted, and is still taken to be the active one, ends what it started and has Vault forward
// the request.
func TestReadOnANodeThatHasJustBeenDemoted(t *testing.T) {
	m, w := ready(t, nil)
	v := newCountedView()
	m.over(v)
	m.readToken(nil).revoke()
	v.ReplicationStateVal = consts.ReplicationPerformanceStandby
	m.storage.Script(storagetest.ReadOnly)
	started := w.Stats().Started
	if _, err := m.request(logical.ReadOperation, "token", nil); err != logical.ErrReadOnly { //nolint:errorlint // Vault forwards on this very error
		t.Errorf("got %v, want %v", err, logical.ErrReadOnly)
	}
	if s := w.Stats(); s.Started != started+1 || s.Alive != 0 {
		t.Errorf("sessions: got %+v, want one more started, and none alive", s)
	}
	m.clock.Advance(rememberFor)
	if _, err := m.request(logical.ReadOperation, "token", nil); err != logical.ErrReadOnly { //nolint:errorlint // as above
		t.Errorf("got %v, want %v", err, logical.ErrReadOnly)
	}
	if got := w.Stats().Started; got != started+1 {
		t.Error("a node that knows of its demotion started a session")
	}
}
