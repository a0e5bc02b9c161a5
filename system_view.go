package main

import (
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// rememberFor is how long an answer of Vault's is used.
const rememberFor = 5 * time.Second

// systemMemory is a system view that remembers what every request asks Vault for: each of these is a call from the
// plugin's process to Vault's, and four of them cost as much as the rest of a shared read.
//
// An answer that is out of date does no harm. Vault applies the mount's default and maximum TTL itself to what the
// plugin returns (vault/request_handling.go, vault/expiration.go: framework.CalculateTTL), so no lease gets too long.
// A node that has just been demoted cannot write: what it has just started it ends, and the error that storage gives
// has Vault forward the request. One that has just been promoted has requests forwarded for a few seconds more, or
// answers them itself.
type systemMemory struct {
	logical.SystemView
	now func() time.Time

	mu         sync.Mutex
	drops      uint64 // so that what was asked before a drop is not kept after it
	defaultTTL remembered[time.Duration]
	maxTTL     remembered[time.Duration]
	state      remembered[consts.ReplicationState]
	local      remembered[bool]
}

// remembered is an answer, and until when it is used.
type remembered[T any] struct {
	value T
	until time.Time
}

// randomSource is entropy.Sourcer of go-kms-wrapping, by which the framework looks for randomness of Vault's.
type randomSource interface {
	GetRandom(bytes int) ([]byte, error)
}

// remember returns a view that remembers, and that can do whatever else view can do and the SDK asks for.
func remember(view logical.SystemView, now func() time.Time) (logical.SystemView, *systemMemory) {
	m := &systemMemory{SystemView: view, now: now}
	extended, isExtended := view.(logical.ExtendedSystemView)
	source, isSource := view.(randomSource)
	switch {
	case isExtended && isSource:
		return struct {
			*systemMemory
			logical.ExtendedSystemView
			randomSource
		}{m, extended, source}, m
	case isExtended:
		return struct {
			*systemMemory
			logical.ExtendedSystemView
		}{m, extended}, m
	case isSource:
		return struct {
			*systemMemory
			randomSource
		}{m, source}, m
	}
	return m, m
}

// drop forgets all answers.
func (m *systemMemory) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drops++
	m.defaultTTL.until, m.maxTTL.until, m.state.until, m.local.until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

// answer returns what is remembered, or else asks, and remembers what is an answer. The client of the SDK swallows
// errors: it returns the zero value when a call to Vault has failed.
func answer[T any](m *systemMemory, r *remembered[T], ask func() T, isAnswer func(T) bool) T {
	m.mu.Lock()
	value, drops := r.value, m.drops
	fresh := m.now().Before(r.until)
	m.mu.Unlock()
	if fresh {
		return value
	}
	value = ask()
	if !isAnswer(value) {
		return value
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drops == drops {
		r.value, r.until = value, m.now().Add(rememberFor)
	}
	return value
}

func positive(d time.Duration) bool { return d > 0 }

// DefaultLeaseTTL returns the mount's default TTL.
func (m *systemMemory) DefaultLeaseTTL() time.Duration {
	return answer(m, &m.defaultTTL, m.SystemView.DefaultLeaseTTL, positive)
}

// MaxLeaseTTL returns the mount's maximum TTL.
func (m *systemMemory) MaxLeaseTTL() time.Duration {
	return answer(m, &m.maxTTL, m.SystemView.MaxLeaseTTL, positive)
}

// ReplicationState returns the state of this node.
func (m *systemMemory) ReplicationState() consts.ReplicationState {
	return answer(m, &m.state, m.SystemView.ReplicationState, isState)
}

func isState(s consts.ReplicationState) bool { return s != consts.ReplicationUnknown }

// LocalMount tells whether the mount is one that is not replicated. A false may stand for a call that failed; it is
// an answer if the next call did not fail.
func (m *systemMemory) LocalMount() bool {
	return answer(m, &m.local, m.SystemView.LocalMount, func(local bool) bool {
		return local || isState(m.SystemView.ReplicationState())
	})
}
