package session_test

import (
	"fmt"
	"runtime"
	"testing"

	"vault-plugin-secrets-workfront/internal/session"
)

func TestLogoutLogTellsWhatCameSince(t *testing.T) {
	log := session.NewLogoutLog()
	log.Add("before")
	first := log.Begin()
	log.Add("between")
	second := log.Begin()
	log.Add("after")
	for _, tt := range []struct {
		name  string
		since func(string) bool
		id    string
		want  bool
	}{
		{"first, before", first, "before", false},
		{"first, between", first, "between", true},
		{"first, after", first, "after", true},
		{"second, between", second, "between", false},
		{"second, after", second, "after", true},
		{"second, another", second, "another", false},
	} {
		if got := tt.since(tt.id); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}

// On a busy mount there is always an exchange under way. What is remembered for it must go with it all the same.
func TestLogoutLogIsFlatUnderSteadyLoad(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	log := session.NewLogoutLog()
	var underWay [8]func(string) bool
	round := func(n int) {
		for i := range n {
			underWay[i%len(underWay)] = log.Begin()
			log.Add(fmt.Sprintf("%032x", i))
		}
	}
	round(10_000)
	before := heap()
	round(100_000)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes over 100,000 logouts, want none", grown)
	}
	runtime.KeepAlive(log)
	runtime.KeepAlive(underWay)
}
