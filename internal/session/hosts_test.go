package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
)

// What proves settings uses none of theirs for others, whether it succeeds or not.
func TestTrialChangesNoLimit(t *testing.T) {
	f := newFixture(t)
	f.source.MaxConnections = 6
	f.issue()
	proposed := f.source
	proposed.MaxConnections = 64
	trial, err := f.broker.Try(t.Context(), proposed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trial.End(t.Context(), f.storage); err != nil {
		t.Fatal(err)
	}
	refused := proposed
	refused.ClientSecret = "guessed"
	elsewhere := refused
	elsewhere.Endpoint.BaseURL = "https://127.0.0.1:1"
	for _, src := range []session.Source{refused, elsewhere} {
		if _, err := f.broker.Try(t.Context(), src); err == nil {
			t.Error("got no error, want one")
		}
	}
	hosts := f.broker.Hosts()
	if len(hosts) != 1 || hosts[0].BaseURL != f.server.URL() || hosts[0].Limit != 6 {
		t.Errorf("got %+v, want %s alone, with 6 slots", hosts, f.server.URL())
	}
}

// A process that has issued no session yet, or none lately, does not log out more of them at a time than config allows.
func TestLogoutKeepsToTheConfiguredLimit(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	for _, trust := range []session.Trust{
		{BaseURL: f.server.URL(), CACert: f.server.CACert(), MaxConnections: 3},
		{BaseURL: "https://elsewhere.my.workfront.com", MaxConnections: 3},
	} {
		f.options.Trust = func(context.Context, logical.Storage) (*session.Trust, error) { return &trust, nil }
		f.broker = f.newBroker()
		f.release(lease)
		want := 8
		if trust.BaseURL == f.server.URL() {
			want = 3
		}
		if hosts := f.broker.Hosts(); len(hosts) != 1 || hosts[0].Limit != want {
			t.Errorf("config names %s: got %+v, want one host with %d slots", trust.BaseURL, hosts, want)
		}
		f.broker = f.newBroker()
		lease = f.issue()
	}
}

// A host that is not called any more is forgotten, and with it that it was marked unavailable several times in a row.
func TestForgottenHostLosesItsMark(t *testing.T) {
	f := newFixture(t)
	lease := f.issue()
	f.server.Suspend()
	synctest.Test(t, func(t *testing.T) {
		f.broker = f.newBroker()
		pass := func(d time.Duration) {
			time.Sleep(d)
			f.clock.Advance(d)
		}
		maintain := func() {
			if err := f.broker.Maintain(t.Context(), f.storage); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.broker.Release(t.Context(), f.storage, lease.LeaseRef); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		maintain()
		pass(20 * time.Second)
		if hosts := f.broker.Hosts(); len(hosts) != 1 || !hosts[0].Unavailable {
			t.Errorf("20 s after the second failure: got %+v, want the host to be marked", hosts)
		}
		pass(11 * time.Minute)
		maintain()
		pass(20 * time.Second)
		if hosts := f.broker.Hosts(); len(hosts) != 1 || hosts[0].Unavailable {
			t.Errorf("20 s after the first failure since it was forgotten: got %+v, want the host not to be marked", hosts)
		}
		pass(11 * time.Minute)
		if hosts := f.broker.Hosts(); len(hosts) != 0 {
			t.Errorf("after 11 minutes without a call: got %+v, want no host", hosts)
		}
	})
}
