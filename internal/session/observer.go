package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// Observer is told what came of calls to Workfront, for whoever counts it. Its methods run on the path of a read: they
// must return at once. They are called concurrently.
type Observer interface {
	// ExchangeDone is told of each exchange, its retries included. took is counted from its request, so its wait for a
	// turn is part of it. The errors are those of workfront.Client.Exchange.
	ExchangeDone(err error, took time.Duration)
	// ExchangeFailed is told of each exchange that failed for the readers of a role, "" being the defaults of the mount.
	// Those of a Trial are not among them.
	ExchangeFailed(role string, err error)
	// LogoutDone is told of each logout that was tried, as ExchangeDone is. The errors are those of
	// workfront.Client.Logout.
	LogoutDone(err error, took time.Duration)
	// RefreshFailed is told when an attempt to replace a shared session in the background failed.
	RefreshFailed()
	// SessionGone is told when Workfront turned out not to know a shared session any more, before its expiry.
	SessionGone()
}

// unobserved is the Observer of a Broker that nobody observes.
type unobserved struct{}

func (unobserved) ExchangeDone(error, time.Duration) {}
func (unobserved) ExchangeFailed(string, error)      {}
func (unobserved) LogoutDone(error, time.Duration)   {}
func (unobserved) RefreshFailed()                    {}
func (unobserved) SessionGone()                      {}

// Host is how it stands with a Workfront host at the moment.
type Host struct {
	workfront.Calls
	Unavailable bool // marked: logouts are pending without a try
}

// Hosts returns the hosts that the mount calls, by base URL.
func (b *Broker) Hosts() []Host {
	calls := b.clients.Calls()
	hosts := make([]Host, 0, len(calls))
	for _, c := range calls {
		hosts = append(hosts, Host{Calls: c, Unavailable: b.outages.isMarked(c.BaseURL)})
	}
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.BaseURL, b.BaseURL) })
	return hosts
}

// Counts is how many sessions the ledger holds, by state. Those that are gone count as active until they end.
type Counts struct{ Active, LogoutPending int }

// Count counts the sessions in the ledger. It lists their keys and reads none of them, so one whose entry cannot be
// read counts, too.
func (b *Broker) Count(ctx context.Context, storage logical.Storage) (Counts, error) {
	v := b.ledger.In(storage)
	// The index first: a session whose logout becomes pending, or succeeds, meanwhile is counted once at most.
	pending, err := v.Pending(ctx)
	if err != nil {
		return Counts{}, err
	}
	ids, err := v.IDs(ctx)
	if err != nil {
		return Counts{}, err
	}
	slices.Sort(ids)
	var c Counts
	for _, id := range pending {
		if _, found := slices.BinarySearch(ids, id); found { // else the entry of the index leads nowhere
			c.LogoutPending++
		}
	}
	c.Active = len(ids) - c.LogoutPending
	return c, nil
}
