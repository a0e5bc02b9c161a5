package ledger_test

import (
	"errors"
	"testing"

	"vault-plugin-secrets-workfront/internal/ledger"
)

// What each lease ID looks like: those of pages of 1 and of 64, and that of the lease that a session was recorded with.
var leaseIDs = []string{
	"0123456789abcdef.1-0", "0123456789abcdef.64-0", "0123456789abcdef.64-63", "ffffffffffffffff.9-8", "own-0123456789abcdef",
}

// Texts that name no lease. Each differs from one that does in one place.
var malformedLeaseIDs = []string{
	"", "-", "own-", "own-0000000000000000", "own-123456789abcdef", "own-00123456789abcdef", "own-0123456789ABCDEF",
	"own-0123456789abcdeg", "own-0123456789abcdef ", "Own-0123456789abcdef", "own-0123456789abcdef-0", "0123456789abcdef",
	"0123456789abcdef.1", "0123456789abcdef-0", "0123456789abcdef.0-0", "0123456789abcdef.1-1", "0123456789abcdef.64-64",
	"0123456789abcdef.65-0", "0123456789abcdef.257-0", "0123456789abcdef.1-256", "0123456789abcdef.01-0",
	"0123456789abcdef.1-00", "0123456789abcdef.1-+0", "0123456789abcdef.1--0", "0123456789abcdef.1-0-0",
	"0000000000000000.1-0", "123456789abcdef.1-0", "0x23456789abcdef.1-0", "000102030405060708090a0b0c0d0e0f",
}

func TestLeaseIDs(t *testing.T) {
	for _, text := range append(leaseIDs, ledger.NewOwnLease().String()) {
		id, err := ledger.ParseLeaseID(text)
		if err != nil || id.String() != text || id.IsZero() {
			t.Errorf("%s: got %q, %v", text, id, err)
		}
		var read ledger.LeaseID
		if err := read.UnmarshalText(must(id.MarshalText())); err != nil || read != id {
			t.Errorf("%s: read from storage as %q, %v", text, read, err)
		}
	}
	for _, text := range malformedLeaseIDs {
		if id, err := ledger.ParseLeaseID(text); !errors.Is(err, ledger.ErrLeaseID) || !id.IsZero() {
			t.Errorf("%q: got %q, %v", text, id, err)
		}
	}
	read := ledger.NewOwnLease()
	if err := read.UnmarshalText(nil); err != nil || !read.IsZero() {
		t.Errorf("no lease: read from storage as %q, %v", read, err)
	}
}

// A text that names a lease is the only one that names it.
func FuzzParseLeaseID(f *testing.F) {
	for _, text := range append(leaseIDs, malformedLeaseIDs...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ledger.ParseLeaseID(text)
		if err == nil && (id.String() != text || id.IsZero()) || err != nil && !id.IsZero() {
			t.Errorf("%q: got %q, %v", text, id, err)
		}
	})
}

// No lease ID is used twice: not on other pages, not on another session, not when a session is recorded anew.
func TestLeaseIDsAreUnique(t *testing.T) {
	m := newMount(t)
	seen := make(map[ledger.LeaseID]bool)
	for range 50 {
		s := newSession("a")
		m.share(s)
		for _, lease := range []ledger.LeaseID{s.Lease, m.attach(s.ID()), m.attach(s.ID())} {
			if seen[lease] {
				t.Errorf("lease ID %s is used twice", lease)
			}
			seen[lease] = true
		}
		m.end(s.ID(), ledger.End{Regardless: true})
		m.Drop(s.ID())
	}
}
