package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// newSameSessionFixture is a fixture whose Workfront returns the same session as long as it lives.
func newSameSessionFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixtureWithTTL(t, 4*time.Hour)
	f.behave(func(b *workfronttest.Behaviour) { b.SameSession, b.ExpiresIn = true, pointer("7200") })
	return f
}

// read is a read of a token.
func read(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
	return b.hold(f.broker.Issue(ctx, s, f.source))
}

// readOnce prepares a lease that must not suffer.
func readOnce(f *fixture, b *books) { b.held = append(b.held, f.issue()) }

// revokeOne has Vault revoke the lease that comes next.
func revokeOne(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
	l := b.revoked[0]
	return f.broker.Release(ctx, s, l.LeaseRef)
}

// revokeAll has Vault revoke all leases that it is to revoke, whatever becomes of each.
func revokeAll(ctx context.Context, f *fixture, s logical.Storage, b *books) (last error) {
	for _, l := range b.revoked {
		if err := f.broker.Release(ctx, s, l.LeaseRef); err != nil {
			last = err
		}
	}
	return last
}

func maintain(ctx context.Context, f *fixture, s logical.Storage, _ *books) error {
	return f.broker.Maintain(ctx, s)
}

func terminate(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
	_, err := f.broker.Terminate(ctx, s, b.revoked[0].SessionID)
	return err
}

func retire(ctx context.Context, f *fixture, s logical.Storage, _ *books) error {
	return f.broker.Unshare(ctx, s, f.source.Role)
}

// unleased prepares a current session that nobody leases: a replacement that nobody has read yet.
func unleased(f *fixture, _ *books) {
	first := f.issue()
	f.clock.Advance(25 * time.Minute)
	second := f.issue()
	f.settleOnce()
	f.release(first)
	f.release(second)
}

// toRevoke prepares so many leases that Vault is to revoke.
func toRevoke(n int) func(f *fixture, b *books) {
	return func(f *fixture, b *books) {
		for range n {
			b.revoked = append(b.revoked, f.issue())
		}
	}
}

// inTurn does one preparation after the other.
func inTurn(all ...func(f *fixture, b *books)) func(f *fixture, b *books) {
	return func(f *fixture, b *books) {
		for _, do := range all {
			do(f, b)
		}
	}
}

func logoutsFail(f *fixture, _ *books) { f.logoutsFail() }

func sourceChanges(f *fixture, _ *books) { f.source.KeyFingerprint = "changed" }

func pass(d time.Duration) func(f *fixture, b *books) {
	return func(f *fixture, _ *books) { f.clock.Advance(d) }
}

// firstRun is the run of maintenance that ends nothing by expiry.
func firstRun(f *fixture, _ *books) { f.maintain() }

// try is what proves new settings.
func try(ctx context.Context, f *fixture, s logical.Storage, _ *books) error {
	trial, err := f.broker.Try(ctx, f.source)
	if err != nil {
		return err
	}
	_, err = trial.End(ctx, s)
	return err
}

// owedSession prepares a session that could be neither stored nor logged out.
func owedSession(f *fixture, b *books) {
	f.logoutsFail()
	f.storage.Script(writesFail(0))
	_ = read(f.t.Context(), f, f.storage, b)
	f.storage.Script()
	f.clock.Advance(time.Minute)
}

func pendingLogout(f *fixture, _ *books) { f.leavePending() }

var operations = []operation{
	{name: "fresh session", fixture: newFixture, do: read, before: []int{1, 1}, after: []int{1, 1}},
	{name: "fresh session, logouts fail", fixture: newFixture, prepare: logoutsFail, do: read, before: []int{1, 1}, after: []int{1, 1}},
	{
		name: "session returned again that is leased", fixture: newSameSessionFixture, prepare: inTurn(readOnce, pass(time.Hour)), do: read,
		before: []int{0, 0, 0, 0}, after: []int{0, 0, 0, 1},
	},
	{
		name: "session returned again whose logout is pending", fixture: newSameSessionFixture, prepare: inTurn(pendingLogout, pass(time.Hour)), do: read,
		before: []int{0, 0, 0, 0, 0}, after: []int{0, 0, 0, 0, 1},
	},

	{name: "first read of a share", fixture: newSharedFixture, do: read, before: []int{1, 1, 1, 0}, after: []int{1, 1, 0, 1}},
	{
		name: "first read of a share, logouts fail", fixture: newSharedFixture, prepare: logoutsFail, do: read,
		before: []int{1, 1, 1, 0}, after: []int{1, 1, 0, 1},
	},
	{name: "further read of a share", fixture: newSharedFixture, prepare: readOnce, do: read, before: []int{0}, after: []int{1}},
	{
		name: "further read of a share by a new process", fixture: newSharedFixture,
		prepare: inTurn(readOnce, func(f *fixture, _ *books) { f.settle() }), do: read, before: []int{0}, after: []int{1},
	},
	{
		name: "refresh", fixture: newSharedFixture, prepare: inTurn(readOnce, pass(25*time.Minute)), do: read,
		before: []int{0, 1, 1, 1}, after: []int{1, 1, 1, 0},
	},
	{
		name: "replacement of a leased session", fixture: newSharedFixture, prepare: inTurn(readOnce, sourceChanges), do: read,
		before: []int{1, 1, 1, 0}, after: []int{1, 1, 0, 1},
	},
	{
		name: "replacement of an unleased session", fixture: newSharedFixture, prepare: inTurn(unleased, sourceChanges),
		do: func(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
			afterwards := storagetest.Over(s, storagetest.Rule{
				On: storagetest.Put, Prefix: "lease/",
				Then: storagetest.First(f.broker.AwaitBackground), // the logout of the one before, which no reader waits for
			})
			return read(ctx, f, afterwards, b)
		},
		before: []int{1, 1, 1, 1, 1, 0, 0, 0, 0}, after: []int{1, 1, 1, 1, 0, 0, 0, 0, 1},
	},
	{
		name: "replacement of a session logged out outside Vault", fixture: newSharedFixture,
		prepare: inTurn(toRevoke(2), func(f *fixture, b *books) { f.server.EndSession(b.revoked[0].Token) }, pass(time.Minute)),
		do: func(ctx context.Context, f *fixture, s logical.Storage, b *books) error {
			l, err := f.broker.Issue(ctx, s, f.source)
			if err == nil {
				b.revoked = append(b.revoked, l)
			}
			return err
		},
		repeats: true, before: []int{0, 1, 1, 1, 0}, after: []int{0, 1, 1, 0, 0},
	},

	{
		name: "reads of a share that are stored together", fixture: newSharedFixture, prepare: readOnce, do: readTogether,
		before: []int{0, 0}, after: []int{1, 1},
	},

	{name: "revocation of the only lease", fixture: newFixture, prepare: toRevoke(1), do: revokeOne},
	{name: "revocation of the first lease of many", fixture: newSameSessionFixture, prepare: inTurn(toRevoke(1), readOnce, readOnce), do: revokeOne},
	{name: "revocation of a later lease of many", fixture: newSameSessionFixture, prepare: inTurn(readOnce, toRevoke(1), readOnce), do: revokeOne},
	{name: "revocation of all leases", fixture: newSameSessionFixture, prepare: toRevoke(3), do: revokeAll},
	{name: "revocation of all leases of a share", fixture: newSharedFixture, prepare: toRevoke(3), do: revokeAll},
	{name: "revocation with a pending logout", fixture: newFixture, prepare: inTurn(toRevoke(1), logoutsFail), do: revokeOne},
	{name: "revocation of all leases with a pending logout", fixture: newSameSessionFixture, prepare: inTurn(toRevoke(3), logoutsFail), do: revokeAll},
	{name: "revocation of all leases of a share with a pending logout", fixture: newSharedFixture, prepare: inTurn(toRevoke(3), logoutsFail), do: revokeAll},

	{name: "revocation of leases stored together", fixture: newSharedFixture, prepare: inTurn(toRevokeTogether, readOnce), do: revokeTogether},
	{name: "revocation of all leases of a share, some stored together", fixture: newSharedFixture, prepare: toRevokeTogether, do: revokeAll},
	{
		name: "revocation of all leases, some stored together, with a pending logout", fixture: newSharedFixture,
		prepare: inTurn(toRevokeTogether, logoutsFail), do: revokeAll,
	},

	{name: "retry of a pending logout", fixture: newFixture, prepare: inTurn(pendingLogout, pass(time.Minute)), do: maintain},
	{name: "end of a pending logout", fixture: newFixture, prepare: inTurn(pendingLogout, pass(31*time.Minute)), do: maintain},
	{
		name: "settling of an owed logout", fixture: newFixture, prepare: inTurn(owedSession, func(f *fixture, _ *books) { f.server.ClearFaults() }), do: maintain,
		before: []int{1, 0, 0}, after: []int{1, 0, 0},
	},
	{
		name: "settling of an owed logout that is pending then", fixture: newFixture, prepare: owedSession, do: maintain,
		before: []int{1, 1, 1, 1}, after: []int{1, 1, 1, 0},
	},
	{name: "end of leased sessions", fixture: newFixture, prepare: inTurn(toRevoke(2), pass(45*time.Minute), firstRun), do: maintain},
	{name: "end of a shared session", fixture: newSharedFixture, prepare: inTurn(toRevoke(3), pass(45*time.Minute), firstRun), do: maintain},
	{name: "assumed end of a session", fixture: func(t *testing.T) *fixture {
		f := newFixtureWithTTL(t, 4*time.Hour)
		f.behave(func(b *workfronttest.Behaviour) { b.ExpiresIn = pointer(workfronttest.OmitExpiresIn) })
		return f
	}, prepare: inTurn(toRevoke(1), pass(45*time.Minute), firstRun), do: maintain},

	{name: "termination", fixture: newSharedFixture, prepare: toRevoke(3), do: terminate, repeats: true},
	{name: "termination, some leases stored together", fixture: newSharedFixture, prepare: toRevokeTogether, do: terminate, repeats: true},
	{name: "termination with a pending logout", fixture: newSharedFixture, prepare: inTurn(toRevoke(3), logoutsFail), do: terminate, repeats: true},
	{name: "end of sharing, leased", fixture: newSharedFixture, prepare: readOnce, do: retire, repeats: true},
	{name: "end of sharing, unleased", fixture: newSharedFixture, prepare: unleased, do: retire, repeats: true},
	{name: "end of sharing, unleased, with a pending logout", fixture: newSharedFixture, prepare: inTurn(unleased, logoutsFail), do: retire, repeats: true},
	{
		name: "trial whose logout is pending", fixture: newFixture, prepare: logoutsFail, do: try,
		before: []int{1, 1, 1}, after: []int{1, 1, 0},
	},
}
