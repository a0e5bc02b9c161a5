package workfront_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// One session from its exchange to its logout, at the strict stand-in, with what has made live sessions count as gone: a gateway in
// between, an API that does not know a session at once, and retired versions.
func TestLifeOfASession(t *testing.T) {
	t.Parallel()
	t.Run("behind a gateway that wants a login of its own", func(t *testing.T) {
		t.Parallel()
		for _, gateway := range []workfronttest.Gateway{workfronttest.GatewayPage, workfronttest.GatewayJSON} {
			l := newLife(t)
			remove := l.s.Inject(workfronttest.Fault{Gateway: gateway})
			checkOutcome(t, l.logout(false), permanent)
			checkOutcome(t, l.whoami(), permanent)
			_, err := l.client.Identify(bounded(t), l.token, apiVersion)
			checkOutcome(t, err, permanent)
			l.wantAlive(true)
			remove()
			checkOutcome(t, l.whoami(), success)
			checkOutcome(t, l.logout(false), success)
			l.wantAlive(false)
			if err := l.whoami(); !errors.Is(err, workfront.ErrSessionGone) {
				t.Errorf("afterwards: got %v, want %v", err, workfront.ErrSessionGone)
			}
			checkOutcome(t, l.logout(false), success)
		}
	})
	t.Run("that Workfront knows late", func(t *testing.T) {
		t.Parallel()
		l := newLife(t)
		l.behave(func(b *workfronttest.Behaviour) { b.KnownAfter = 1500 * time.Millisecond })
		l.s.OnEvent(func(e workfronttest.Event) { // what comes two seconds later comes late enough
			if e.Kind == workfronttest.LogoutAnswered && e.Status == http.StatusUnauthorized {
				l.clock.Advance(1500 * time.Millisecond)
			}
		})
		checkOutcome(t, l.logout(true), success)
		l.wantAlive(false)
		if got, want := l.s.Stats().Logouts, 2; got != want {
			t.Errorf("got %d logouts, want %d", got, want)
		}
	})
	t.Run("that Workfront knows too late", func(t *testing.T) {
		t.Parallel()
		l := newLife(t)
		l.behave(func(b *workfronttest.Behaviour) { b.KnownAfter = time.Minute })
		if got := logoutOutcome(l.logout(true)); got != goneTooSoon {
			t.Errorf("got %s, want %s", got, goneTooSoon)
		}
		l.wantAlive(true)
		l.clock.Advance(time.Minute)
		checkOutcome(t, l.logout(false), success)
		l.wantAlive(false)
	})
	t.Run("whose version is retired", func(t *testing.T) {
		t.Parallel()
		l := newLife(t)
		l.behave(func(b *workfronttest.Behaviour) { b.RetiredVersions = []string{"v21.0", apiVersion} })
		checkOutcome(t, l.logout(false, "v21.0"), refused)
		l.wantAlive(true)
		checkOutcome(t, l.whoami("v21.0", apiVersion, "v20.0"), success)
		checkOutcome(t, l.logout(false, "v21.0", apiVersion, ""), success)
		l.wantAlive(false)
	})
	t.Run("by POST, whose version is retired", func(t *testing.T) {
		t.Parallel()
		for _, refusal := range []int{200, 400, 404, 405, 410} {
			l := newLife(t)
			l.behave(func(b *workfronttest.Behaviour) {
				b.RetiredVersions, b.LogoutMethods, b.LogoutRefusal = []string{"v21.0"}, workfronttest.LogoutPOST, refusal
			})
			checkOutcome(t, l.logout(true, "v21.0", ""), success)
			l.wantAlive(false)
		}
	})
}

// life is a session at a stand-in whose clock stands still.
type life struct {
	t      *testing.T
	s      *standIn
	clock  *workfronttest.Clock
	client *workfront.Client
	token  string
}

func newLife(t *testing.T) *life {
	t.Helper()
	l := &life{t: t, clock: workfronttest.NewClock()}
	l.s = newStandIn(t, workfronttest.Options{Now: l.clock.Now})
	l.client = newClient(t, l.s.endpoint(), l.clock.Now)
	l.token = l.s.start(t, l.client)
	return l
}

func (l *life) behave(change func(*workfronttest.Behaviour)) {
	b := workfronttest.DefaultBehaviour()
	change(&b)
	l.s.SetBehaviour(b)
}

func (l *life) versions(named []string) []string {
	if len(named) == 0 {
		return []string{apiVersion}
	}
	return named
}

func (l *life) logout(young bool, versions ...string) error {
	l.t.Helper()
	return l.client.Logout(bounded(l.t), workfront.LogoutRequest{Token: l.token, APIVersions: l.versions(versions), Young: young})
}

func (l *life) whoami(versions ...string) error {
	l.t.Helper()
	return l.client.Whoami(bounded(l.t), l.token, l.versions(versions), userID)
}

func (l *life) wantAlive(want bool) {
	l.t.Helper()
	if got := l.s.SessionAlive(l.token); got != want {
		l.t.Errorf("the session is alive: %t, want %t", got, want)
	}
}
