package session_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

var stressSeed = flag.Uint64("stress.seed", 0, "the only seed of TestStress; 0 means its usual ones")

// mix says what happens besides reading and revoking.
type mix struct {
	name        string
	sameSession bool // Workfront returns the same session as long as it lives
	storage     bool // storage fails
	logouts     bool // logouts fail
	clock       bool // time passes
	leave       bool // readers leave
	terminate   bool // an operator ends sessions
	endOther    bool // somebody else ends sessions
	restart     bool // the process is restarted
	change      bool // settings change, and roles are deleted
	gateway     bool // a gateway answers in Workfront's place
	retired     bool // Workfront no longer serves the version of its API that sessions pin
	jump        bool // the clock is wrong during one run of maintenance
}

var mixes = []mix{
	{name: "plain"},
	{name: "settings", change: true},
	{name: "clock", clock: true, restart: true},
	{name: "leaving", leave: true, clock: true},
	{name: "logouts", logouts: true, clock: true, terminate: true},
	{name: "same session", sameSession: true, change: true},
	{name: "same session, all but storage", sameSession: true, logouts: true, clock: true, leave: true, terminate: true, change: true},
	{name: "storage", storage: true, change: true},
	{name: "storage and logouts", storage: true, logouts: true, clock: true},
	{name: "logged out outside Vault", endOther: true, clock: true},
	{name: "gateway", gateway: true, clock: true, terminate: true, change: true},
	{name: "retired version", retired: true, gateway: true, terminate: true},
	{name: "clock that jumps", jump: true, clock: true, logouts: true, leave: true, change: true},
	{
		name: "all", sameSession: true, storage: true, logouts: true, clock: true, leave: true, terminate: true,
		endOther: true, restart: true, change: true, gateway: true, retired: true, jump: true,
	},
}

const (
	stressWorkers = 8
	stressRounds  = 25 // of each worker
	stressShares  = 2
)

// stress is a run of a mix, and what its readers and Vault would know.
type stress struct {
	*fixture
	mix mix

	world sync.RWMutex // locked while time passes or the process is restarted
	ahead atomic.Int64 // how far the clock of the process is ahead of Workfront's

	mu      sync.Mutex
	leases  []*session.Lease        // that Vault knows
	unclear map[*session.Lease]bool // a revocation failed: the lease may be gone
	ended   map[string]bool         // tokens that are logged out regardless of their leases
	moves   map[string]int          // how often the settings of a share changed
}

// yields has writes let others run, so that some of their leases are stored together.
var yields = storagetest.Rule{On: storagetest.Writes, Then: storagetest.First(runtime.Gosched)}

// TestStress does everything at once, at random. It cannot be repeated exactly, since goroutines take turns as they like, but a
// seed gives the same requests: go test -run 'TestStress/all' -stress.seed 3 -count 20.
func TestStress(t *testing.T) {
	seeds := []uint64{1, 2}
	if *stressSeed != 0 {
		seeds = []uint64{*stressSeed}
	}
	for _, m := range mixes {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s, seed %d", m.name, seed), func(t *testing.T) {
				s := &stress{
					fixture: newFixture(t), mix: m,
					unclear: map[*session.Lease]bool{}, ended: map[string]bool{}, moves: map[string]int{},
				}
				s.storage = storagetest.Over(storagetest.New(yields))
				s.behave(func(b *workfronttest.Behaviour) {
					b.SameSession = m.sameSession
					if m.retired {
						b.RetiredVersions = []string{s.source.Endpoint.APIVersion}
					}
				})
				s.options.Now = func() time.Time { return s.clock.Now().Add(time.Duration(s.ahead.Load())) }
				s.broker = s.newBroker()
				var all sync.WaitGroup
				for worker := range stressWorkers {
					r := rand.New(rand.NewPCG(seed, uint64(worker)))
					all.Go(func() {
						for range stressRounds {
							s.round(r)
						}
					})
				}
				all.Wait()
				s.wantConsistent()
				s.wantAllEnded()
			})
		}
	}
}

// pick returns one of the leases, or nil, and takes it out of Vault's hands if take is set.
func (s *stress) pick(r *rand.Rand, take bool) *session.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.leases) == 0 {
		return nil
	}
	i := r.IntN(len(s.leases))
	l := s.leases[i]
	if last := len(s.leases) - 1; take {
		s.leases[i] = s.leases[last]
		s.leases = s.leases[:last]
	}
	return l
}

func (s *stress) put(l *session.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases = append(s.leases, l)
}

func (s *stress) setEnded(l *session.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[l.Token] = true
}

func (s *stress) isEnded(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[token]
}

// round is one request of a worker.
func (s *stress) round(r *rand.Rand) {
	n := r.IntN(100)
	switch {
	case n < 6 && s.mix.clock, n < 7 && s.mix.restart, n < 9 && s.mix.jump:
		s.world.Lock()
		defer s.world.Unlock()
		switch {
		case n < 6 && s.mix.clock:
			// A session whose exchange takes minutes outlives what the broker can know of its end.
			s.broker.AwaitBackground()
			s.clock.Advance(time.Duration(1+r.IntN(400)) * time.Second)
		case n < 7 && s.mix.restart:
			s.restartProcess()
		default:
			s.broker.AwaitBackground()
			s.ahead.Store(int64(2 * time.Hour))
			_ = s.broker.Maintain(s.t.Context(), s.storage)
			s.ahead.Store(0)
			_ = s.broker.Maintain(s.t.Context(), s.storage)
		}
		return
	}
	s.world.RLock()
	defer s.world.RUnlock()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	if s.mix.leave && r.IntN(4) == 0 {
		turns := r.IntN(2000)
		go func() {
			for range turns {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	switch {
	case n < 50:
		s.read(ctx, r)
	case n < 80:
		s.revoke(ctx, r)
	case n < 84:
		_ = s.broker.Maintain(s.t.Context(), s.storage)
	case n < 86 && s.mix.terminate:
		if l := s.pick(r, false); l != nil {
			s.setEnded(l)
			_, _ = s.broker.Terminate(ctx, s.storage, l.SessionID)
		}
	case n < 88 && s.mix.endOther:
		if l := s.pick(r, false); l != nil {
			s.setEnded(l)
			s.server.EndSession(l.Token)
		}
	case n < 90 && s.mix.change:
		s.changeSettings(r)
	case n < 92 && s.mix.gateway:
		s.server.Inject(workfronttest.Fault{
			Endpoint: []workfronttest.Endpoint{workfronttest.EndpointLogout, workfronttest.EndpointAny}[r.IntN(2)],
			Gateway:  []workfronttest.Gateway{workfronttest.GatewayPage, workfronttest.GatewayJSON}[r.IntN(2)],
			Times:    1 + r.IntN(8),
		})
	case n < 93 && s.mix.storage:
		s.breakStorage(r)
	case n < 96 && s.mix.storage:
		s.storage.Script()
	case n < 97 && s.mix.logouts:
		s.server.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500, Times: 1 + r.IntN(2)})
	default:
		s.wantLeasedLives(r)
	}
}

// breakStorage has all writes fail after a few, whether they are carried out or not, and now and then all reads.
func (s *stress) breakStorage(r *rand.Rand) {
	carriedOut, readsToo, after := r.IntN(2) == 0, r.IntN(4) == 0, r.IntN(6)
	script := []storagetest.Rule{failingWrites(after, carriedOut)}
	if readsToo {
		script = append(script, readsFail)
	}
	s.storage.Script(script...)
}

func role(i int) string { return fmt.Sprint(i) }

// read reads a token: a fresh one, or of a share.
func (s *stress) read(ctx context.Context, r *rand.Rand) {
	src := s.source
	if i := r.IntN(stressShares + 1); i < stressShares {
		s.mu.Lock()
		src.Role, src.Shared, src.KeyFingerprint = role(i), true, fmt.Sprint("version ", s.moves[role(i)])
		s.mu.Unlock()
	}
	l, err := s.broker.Issue(ctx, s.storage, src)
	if err != nil {
		return
	}
	if left := l.ExpiresAt.Sub(s.clock.Now()); left < session.MinLifetime {
		s.t.Errorf("issued with %s left", left)
	}
	s.put(l)
}

// revoke revokes a lease, now and then twice, as Vault does.
func (s *stress) revoke(ctx context.Context, r *rand.Rand) {
	l := s.pick(r, true)
	if l == nil {
		return
	}
	err := s.broker.Release(ctx, s.storage, l.LeaseRef)
	if err == nil && r.IntN(5) == 0 {
		err = s.broker.Release(ctx, s.storage, l.LeaseRef)
	}
	if err != nil {
		s.mu.Lock()
		s.unclear[l] = true
		s.mu.Unlock()
		s.put(l)
	}
}

// changeSettings changes what a share is made from, or deletes it.
func (s *stress) changeSettings(r *rand.Rand) {
	name := role(r.IntN(stressShares))
	s.mu.Lock()
	s.moves[name]++
	s.mu.Unlock()
	if r.IntN(2) == 0 {
		_ = s.broker.Unshare(s.t.Context(), s.storage, name)
	}
}

// restartProcess is an orderly restart. s.world is locked.
func (s *stress) restartProcess() {
	s.calm()
	s.settle()
}

// calm has all faults end, and what they have left settled.
func (s *stress) calm() {
	s.storage.Script()
	s.server.ClearFaults()
	s.broker.AwaitBackground()
	s.clock.Advance(20 * time.Second)
	s.maintain()
	s.maintain()
}

// wantLeasedLives checks one lease: its session lives, unless it was ended for all.
func (s *stress) wantLeasedLives(r *rand.Rand) {
	l := s.pick(r, true) // so that nobody revokes it meanwhile
	if l == nil {
		return
	}
	defer s.put(l)
	s.mu.Lock()
	unclear := s.unclear[l]
	s.mu.Unlock()
	if unclear || !s.clock.Now().Before(l.ExpiresAt) {
		return
	}
	if !s.server.SessionAlive(l.Token) && !s.isEnded(l.Token) {
		s.t.Errorf("a leased session is dead: %s", l.SessionID)
	}
}

// wantConsistent compares, when nothing goes on any more, what readers hold with the ledger, in memory and in storage, and that
// with Workfront.
func (s *stress) wantConsistent() {
	s.t.Helper()
	s.calm()
	certain, possible := map[string]int{}, map[string]int{}
	for _, l := range s.leases {
		if possible[l.SessionID]++; s.unclear[l] {
			continue
		}
		certain[l.SessionID]++
		if s.clock.Now().Before(l.ExpiresAt) && !s.ended[l.Token] && !s.server.SessionAlive(l.Token) {
			s.t.Errorf("%s: a leased session is dead", l.SessionID)
		}
	}
	ids, err := s.broker.IDs(s.t.Context(), s.storage)
	if err != nil {
		s.t.Fatal(err)
	}
	alive := 0
	for _, id := range ids {
		record, err := s.broker.Session(s.t.Context(), s.storage, id)
		if err != nil {
			s.t.Fatal(err)
		}
		inMemory, err1 := s.broker.Leases(s.t.Context(), s.storage, record)
		inStorage, err2 := s.newBroker().Leases(s.t.Context(), s.storage, record)
		if err1 != nil || err2 != nil || inMemory != inStorage {
			s.t.Errorf("%s: memory has %d leases, %v; storage %d, %v", id, inMemory, err1, inStorage, err2)
		}
		if (inStorage < certain[id] || inStorage > possible[id]) && !s.ended[record.Token] {
			s.t.Errorf("%s (%s): the ledger has %d leases, readers hold %d to %d", id, record.State, inStorage, certain[id], possible[id])
		}
		lives := s.server.SessionAlive(record.Token)
		if lives {
			alive++
		}
		if lives && inStorage == 0 && record.State == ledger.StateActive && !s.isCurrent(id) {
			s.t.Errorf("%s: nobody leases it, and it is not what is shared", id)
		}
	}
	if stats := s.server.Stats(); stats.Alive != alive {
		s.t.Errorf("sessions: %+v, of which the ledger knows %d", stats, alive)
	}
}

// isCurrent tells whether storage names a session as one that is shared.
func (s *stress) isCurrent(id string) bool {
	for i := range stressShares {
		entry, err := s.storage.Get(s.t.Context(), "shared/roles/"+role(i))
		if err == nil && entry != nil && strings.Contains(string(entry.Value), id) {
			return true
		}
	}
	return false
}

// wantAllEnded revokes what is left and ends what is shared: then every session has ended and nothing of any is left.
func (s *stress) wantAllEnded() {
	s.t.Helper()
	for _, l := range s.leases {
		s.release(l)
	}
	for i := range stressShares {
		if err := s.broker.Unshare(s.t.Context(), s.storage, role(i)); err != nil {
			s.t.Error(err)
		}
	}
	s.broker.AwaitBackground()
	s.maintain()
	stats := s.server.Stats()
	if stats.Alive != 0 || stats.Undelivered != 0 || stats.Started != stats.LoggedOut+stats.Expired || stats.Expired > 0 && !s.mix.clock {
		s.t.Errorf("sessions: %+v; want all of them ended, by logout unless time has passed", stats)
	}
	if n := s.broker.InMemory(); n != 0 {
		s.t.Errorf("entries in memory: got %d, want none", n)
	}
	s.clock.Advance(26 * time.Hour)
	s.maintain()
	s.maintain()
	s.wantEmptyLedger()
}
