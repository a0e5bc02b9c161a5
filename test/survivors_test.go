//go:build e2e

package test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/test/vaultserver"
)

// burstSize is how many reads begin just before an incident.
const burstSize = 5

// survivors are a mount in a cluster, and the leases on it that outlast what happens.
type survivors struct {
	*cluster
	*mount
	w       *workfront
	held    []*api.Secret
	shared  string // ID of the session that is shared
	key     string // fingerprint of the one in use, as Workfront shows it
	ttl     int    // of fresh leases, as the role says; config says half a step more
	frozen  []int  // processes
	version string // of the plugin

	endured    int            // incidents
	lost       int            // sessions that nobody knows of
	references map[string]int // by session: leases on it that the ledger holds and Vault does not
}

func newSurvivors(t *testing.T) *survivors {
	t.Helper()
	buildPlugin(t, nextVersion)
	w := startWorkfront(t, 0)
	began := time.Now()
	c := startCluster(t, "")
	measured("cluster: %d voting nodes after %s", clusterSize, round(time.Since(began)))
	first := c.patient[0]
	if err := first.root.Sys().Mount(builtIn, &api.MountInput{Type: "kv"}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.root.Logical().Write(builtIn+"/entry", field("a", "b")); err != nil {
		t.Fatal(err)
	}
	m := enable(t, first, uniqueName(t), w)
	certificate, _ := m.write(t, "keys/default/generate", nil).Data["certificate"].(string)
	key := w.upload(t, certificate)
	// An exchange that is frozen for longer than request_timeout is given up.
	m.configure(t, w, map[string]any{"ttl": "20m", "request_timeout": "60s"})
	withRoles(t, m)
	behave(w, func(b *behaviour) { b.ExchangeDelay = 300 * time.Millisecond })
	s := &survivors{cluster: c, mount: m, w: w, key: key, ttl: minTTL, references: map[string]int{}}
	t.Cleanup(func() { signal(syscall.SIGCONT, s.frozen...) })
	s.hold(t, c.nodes[0])
	s.shared = sessionID(s.held[len(s.held)-1])
	return s
}

// at is the mount as patient clients of a node see it.
func (s *survivors) at(node *vaultServer) *mount { return s.cluster.at(node, s.mount) }

// hold reads leases that are kept.
func (s *survivors) hold(t *testing.T, node *vaultServer) {
	t.Helper()
	m := s.at(node)
	for range 2 {
		s.held = append(s.held, m.roleToken(t, freshRole), m.roleToken(t, sharedRole))
	}
}

// oneExchangeEach: a read through a standby makes one exchange like any other.
func (s *survivors) oneExchangeEach(t *testing.T) {
	t.Helper()
	for _, node := range s.nodes {
		var before int
		eventually(t, 30*time.Second, func() error { // a standby may not know the leader yet
			before = s.w.Stats().Exchanges
			lease, err := (&mount{vaultServer: node, path: s.path, client: node.root}).readRole(freshRole)
			if err == nil {
				s.held = append(s.held, lease)
			}
			return err
		})
		if got := s.w.Stats().Exchanges - before; got != 1 {
			t.Errorf("a read through node %d made %d exchanges, want 1", s.index(node), got)
		}
	}
}

const minTTL, ttlStep = 600, 60

// setTTL changes a role and config at a node.
func (s *survivors) setTTL(t *testing.T, node *vaultServer) {
	t.Helper()
	s.ttl = minTTL + (s.ttl-minTTL+ttlStep)%(10*ttlStep)
	m := s.at(node)
	m.write(t, "roles/"+freshRole, field("ttl", s.ttl))
	m.write(t, "config", field("ttl", s.ttl+ttlStep/2))
}

// wantTTL has the first reads that a node answers see what was written.
func (s *survivors) wantTTL(t *testing.T, node *vaultServer) {
	t.Helper()
	m := s.at(node)
	ofRole, ofConfig := m.roleToken(t, freshRole), m.roleToken(t, "")
	for lease, want := range map[*api.Secret]int{ofRole: s.ttl, ofConfig: s.ttl + ttlStep/2} {
		if lease.LeaseDuration > want || lease.LeaseDuration <= want-ttlStep/2 { // Vault subtracts the time that it took
			t.Errorf("the lease has %d s, want %d, as was written before", lease.LeaseDuration, want)
		}
	}
	s.held = append(s.held, ofRole, ofConfig)
}

// changeKey has a new key used. Workfront forgets the old one.
func changeKey(t *testing.T, s *survivors, leader *vaultServer) {
	t.Helper()
	m := s.at(leader)
	certificate, _ := m.write(t, "keys/next/generate", nil).Data["certificate"].(string)
	next := s.w.upload(t, certificate)
	m.write(t, "config", field("key", "next"))
	if err := s.w.RemovePublicKey(s.w.App.ClientID, s.key); err != nil {
		t.Fatal(err)
	}
	s.key = next
	lease := m.roleToken(t, sharedRole)
	if s.shared == sessionID(lease) {
		t.Error("the shared session was not replaced with its key")
	}
	s.held, s.shared = append(s.held, lease), sessionID(lease)
}

// endure lets an incident happen under traffic, and looks at all that has to survive it.
func (s *survivors) endure(t *testing.T, i incident) {
	t.Helper()
	s.endured++
	leader := s.leader(t, nil)
	plugins := leader.pluginsOf(t)
	s.hold(t, leader)
	traffic := s.startTraffic(t, s.mount, s.w)
	traffic.served(t, time.Now())
	if i.prepare != nil {
		i.prepare(t, s, leader)
	}
	s.setTTL(t, leader)
	traffic.burst(t, burstSize, leader)
	began, flying := time.Now(), int(traffic.reading.Load())
	i.happen(t, s, leader)
	butFor := leader
	if i.stays {
		butFor = nil
	}
	next := s.leader(t, butFor)
	s.wantTTL(t, next)
	s.setTTL(t, next)
	for _, node := range s.nodes {
		if i.stays || node != leader {
			s.wantTTL(t, node)
		}
	}
	lease := s.at(next).roleToken(t, sharedRole)
	if sessionID(lease) != s.shared {
		t.Errorf("%s: the shared session was replaced", i.name)
	}
	s.held = append(s.held, lease)
	traffic.served(t, began)
	if i.mend != nil {
		i.mend(t, s, leader)
	}
	s.whole(t)
	if !i.stays {
		wantGone(t, 30*time.Second, plugins...)
	}
	served := time.Now()
	traffic.served(t, served)
	traffic.finish(t)
	s.renewAll(t)
	if got := s.read(t, "info")["version"]; s.version != "" && got != s.version {
		t.Errorf("%s: version %v runs, want %s", i.name, got, s.version)
	}
	lost, references, unread := s.balance(t, i)
	fresh, shared, vault := traffic.gap(freshRole), traffic.gap(sharedRole), traffic.gap(builtIn)
	// Whatever Vault itself needs, on a machine that may be busy, the plugin needs seconds more.
	if most := vault + 20*time.Second; fresh > most || shared > most {
		t.Errorf("%s: no session of its own for %s, no shared one for %s, but Vault's kv was back after %s", i.name, fresh, shared, vault)
	}
	measured("cluster, %s: without a session of its own %s, without a shared one %s, without an answer of Vault's kv %s; %d of %d calls failed; "+
		"%d reads in flight, %d sessions unaccounted for; %d references to leases that Vault does not have, %d leases that no reader got",
		i.name, round(fresh), round(shared), round(vault), traffic.failures(), traffic.calls, flying, lost, references, unread)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// renewAll renews all leases of before, and revokes some.
func (s *survivors) renewAll(t *testing.T) {
	t.Helper()
	for n, lease := range s.held {
		if _, err := s.at(s.nodes[n%clusterSize]).root.Sys().Renew(lease.LeaseID, 0); err != nil {
			t.Errorf("renew a lease of before: %v", err)
		}
	}
	for range 3 {
		s.revokeHeld(t, s.held[0])
		s.held = s.held[1:]
	}
}

func (s *survivors) revokeHeld(t *testing.T, lease *api.Secret) {
	t.Helper()
	if !s.w.SessionAlive(accessToken(lease)) {
		t.Errorf("the session of a lease of before is dead")
	}
	s.revoke(t, lease)
	if role, _ := lease.Data["role"].(string); role != sharedRole {
		wantDead(t, s.w, lease)
	}
}

// balance compares what Workfront, the ledger and Vault's leases know with what the test holds.
func (s *survivors) balance(t *testing.T, i incident) (lost, references, unread int) {
	t.Helper()
	leader := s.at(s.leader(t, nil))
	// Vault may have issued a lease whose reader did not get it. It would end by itself.
	mine := map[string]bool{}
	onSession := map[string]int{}
	for _, lease := range s.held {
		mine[lease.LeaseID] = true
		onSession[sessionID(lease)]++
	}
	for _, id := range leader.leaseIDs(t, leader.path+"/token") {
		if !mine[id] {
			unread++
			leader.revoke(t, &api.Secret{LeaseID: id})
		}
	}
	// What the plugin could not finish during the incident, it may be finishing.
	err := vaultserver.Poll(20*time.Second, func() error {
		references = 0
		for id, session := range leader.sessions(t) {
			n := number(t, session["leases"])
			if n < onSession[id] {
				return fmt.Errorf("the ledger has %d leases on session %s, %d are held", n, id, onSession[id])
			}
			references += n - onSession[id] - s.references[id]
			if session["state"] != "active" {
				return fmt.Errorf("session %s is %s", id, session["state"])
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", i.name, err)
	}
	if references > cutOff {
		t.Errorf("%s: the ledger has %d leases more than Vault, no more than %d reads can have been cut off", i.name, references, cutOff)
	}
	for id, session := range leader.sessions(t) {
		if onSession[id] == 0 {
			leader.delete(t, "sessions/"+id) // it would live until its end
			continue
		}
		s.references[id] = number(t, session["leases"]) - onSession[id]
	}
	for id := range onSession {
		if leader.read(t, "sessions/"+id) == nil {
			t.Errorf("%s: session %s of a lease is not in the ledger", i.name, id)
		}
	}
	allowed := 0
	if i.kills {
		allowed = clusterSize + burstSize // no more can have been in flight
	}
	err = vaultserver.Poll(20*time.Second, func() error {
		stats := s.w.Stats()
		lost = stats.Alive + stats.Undelivered - len(onSession) - s.lost
		if lost < 0 || lost > allowed {
			return fmt.Errorf("sessions: %+v, of which %d are leased; %d are unaccounted for, want %d at most", stats, len(onSession), lost, allowed)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", i.name, err)
	}
	s.lost += lost
	return lost, references, unread
}

// cutOff is how many reads an incident can cut off: one of each client that wants a session, and the burst.
const cutOff = 2*clusterSize + burstSize

// end revokes what is left and settles the account.
func (s *survivors) end(t *testing.T) {
	t.Helper()
	s.renewAll(t)
	for _, lease := range s.held {
		s.revokeHeld(t, lease)
	}
	for id := range s.sessions(t) {
		s.delete(t, "sessions/"+id) // the shared one, if it has a lease that nobody holds
	}
	// An entry that an interrupted write has left in the index would be met when its time is over. A read can leave one.
	unled := 0
	for _, bucket := range s.list(t, "expiry") {
		for _, id := range s.list(t, "expiry/"+bucket) {
			s.drop(t, "expiry/"+bucket+id)
			unled++
		}
	}
	if most := s.endured * cutOff; unled > most {
		t.Errorf("%d entries of the index lead nowhere, want %d at most after %d incidents", unled, most, s.endured)
	}
	measured("cluster, at the end: %d sessions unaccounted for; %d entries of the index lead nowhere", s.lost, unled)
	undelivered := s.w.Stats().Undelivered
	if got := s.w.Stats().Alive + undelivered; got != s.lost {
		t.Errorf("%d sessions are left, want the %d that are unaccounted for", got, s.lost)
	}
	s.w.undelivered = undelivered
	s.w.ExpireSessions()
}
