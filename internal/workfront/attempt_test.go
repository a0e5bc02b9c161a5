package workfront_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	loggedOut   = `{"data":{"success":true}}`
	unknown     = `{"error":{"class":"com.attask.common.SessionException","message":"no"}}`
	gatewayPage = "<html>Log in to the gateway</html>"
	gatewayJSON = `{"code":401,"message":"Unauthorized"}`
)

// routed is a host that answers the API by method and path, such as "GET v22.0/logout", with a status and a body. What it does
// not know is answered with a teapot, which ends an attempt.
type routed struct {
	*host
	mu      sync.Mutex
	answers map[string]routedAnswer
	seen    []string
}

type routedAnswer struct {
	status int
	body   string
}

func newRouted(t *testing.T) *routed {
	t.Helper()
	r := &routed{}
	r.host = newHost(t, func(w http.ResponseWriter, req *http.Request, _ int) {
		what := req.Method + " " + strings.TrimPrefix(req.URL.Path, "/attask/api/")
		r.mu.Lock()
		r.seen = append(r.seen, what)
		a, known := r.answers[what]
		r.mu.Unlock()
		if !known {
			a.status = http.StatusTeapot
		}
		answer(w, a.status, a.body)
	})
	return r
}

// expect sets the answers, and makes do, which wantSeen says the requests of.
func (r *routed) expect(answers map[string]routedAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers, r.seen = answers, nil
}

func (r *routed) wantSeen(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.seen, want) {
		t.Errorf("got the requests %q, want %q", r.seen, want)
	}
}

func TestLogoutTriesVersions(t *testing.T) {
	t.Parallel()
	type answers = map[string]routedAnswer
	const (
		getNew, postNew   = "GET v23.0/logout", "POST v23.0/logout"
		getOld, postOld   = "GET v22.0/logout", "POST v22.0/logout"
		getNone, postNone = "GET logout", "POST logout"
		retired           = `{"error":{"class":"com.attask.common.InvalidVersionException","message":"no longer available"}}`
	)
	all := []string{"v23.0", "v22.0", ""}
	tests := []struct {
		name     string
		versions []string
		answers  answers
		want     outcome
		seen     []string
		says     string
	}{
		{"the first", all, answers{getNew: {200, loggedOut}}, success, []string{getNew}, ""},
		{"none without versions", nil, answers{getNone: {200, loggedOut}}, success, []string{getNone}, ""},
		{"410, then the next", all, answers{getNew: {410, retired}, getOld: {200, loggedOut}}, success, []string{getNew, getOld}, ""},
		{
			"410 twice, then none", all,
			answers{getNew: {410, retired}, getOld: {410, ""}, getNone: {200, loggedOut}},
			success,
			[]string{getNew, getOld, getNone},
			"",
		},
		{
			"bad request, then POST, then the next", all,
			answers{getNew: {400, ""}, postNew: {400, ""}, getOld: {200, loggedOut}},
			success,
			[]string{getNew, postNew, getOld},
			"",
		},
		{
			"no such page, then POST, then the next", all,
			answers{getNew: {404, gatewayPage}, postNew: {405, ""}, getOld: {404, ""}, postOld: {200, loggedOut}},
			success,
			[]string{getNew, postNew, getOld, postOld},
			"",
		},
		{
			"unclear, then POST, then the next", all,
			answers{getNew: {200, gatewayPage}, postNew: {200, gatewayPage}, getOld: {200, loggedOut}},
			success,
			[]string{getNew, postNew, getOld},
			"",
		},
		{"410, then gone", all, answers{getNew: {410, retired}, getOld: {401, unknown}}, success, []string{getNew, getOld}, ""},
		{
			"POST is no longer available, then the next", all,
			answers{getNew: {405, ""}, postNew: {410, ""}, getOld: {200, loggedOut}},
			success,
			[]string{getNew, postNew, getOld},
			"",
		},
		{
			"no longer available by GET",
			[]string{"v23.0"},
			answers{getNew: {410, ""}, postNew: {200, loggedOut}},
			success,
			[]string{getNew, postNew},
			"",
		},
		{
			"all no longer available", all,
			answers{
				getNew: {410, retired}, getOld: {410, retired}, getNone: {404, ""}, postNone: {404, ""}, postNew: {410, retired}, postOld: {410, retired},
			},
			refused,
			[]string{getNew, getOld, getNone, postNone, postNew, postOld},
			"api_version v23.0 is no longer available",
		},
		{
			"what Workfront says tells more than a page",
			[]string{"v23.0", "v22.0"},
			answers{getNew: {404, gatewayPage}, postNew: {404, gatewayPage}, getOld: {200, `{"data":{"success":false}}`}, postOld: {405, ""}},
			unclear,
			[]string{getNew, postNew, getOld, postOld},
			"",
		},
		{
			"what is unclear tells more than what is not allowed",
			[]string{"v23.0"},
			answers{getNew: {405, ""}, postNew: {204, ""}},
			unclear,
			[]string{getNew, postNew, postNew},
			"",
		},
		{
			"the first tells most among equals",
			[]string{"v23.0", ""},
			answers{getNew: {400, `{"message":"first"}`}, postNew: {405, ""}, getNone: {400, `{"message":"second"}`}, postNone: {404, ""}},
			refused,
			[]string{getNew, postNew, getNone, postNone},
			"first",
		},
		{"401 of a gateway ends it", all, answers{getNew: {401, gatewayPage}}, permanent, []string{getNew}, "HTTP status 401"},
		{"403 ends it", all, answers{getNew: {403, retired}}, refused, []string{getNew}, ""},
		{"407 ends it", all, answers{getNew: {407, ""}}, permanent, []string{getNew}, ""},
		{"451 ends it", all, answers{getNew: {451, gatewayPage}}, permanent, []string{getNew}, ""},
		{"429 ends it", all, answers{getNew: {429, ""}}, transient, []string{getNew}, ""},
		{"500 ends it", all, answers{getNew: {500, ""}}, permanent, []string{getNew}, ""},
		{"503 ends it", all, answers{getNew: {503, ""}}, transient, []string{getNew}, ""},
		{"a redirect ends it", all, answers{getNew: {302, ""}}, permanent, []string{getNew}, ""},
		{"another answer ends it later, too", all, answers{getNew: {410, ""}, getOld: {403, unknown}}, refused, []string{getNew, getOld}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRouted(t)
			h.expect(tt.answers)
			err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: tt.versions})
			checkOutcome(t, err, tt.want)
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want %q in it", err, tt.says)
			}
			h.wantSeen(t, tt.seen...)
		})
	}
}

// The background check goes by GET alone.
func TestWhoamiTriesVersions(t *testing.T) {
	t.Parallel()
	type answers = map[string]routedAnswer
	const (
		inNew, inOld, inNone = "GET v23.0/user/" + userID, "GET v22.0/user/" + userID, "GET user/" + userID
		data                 = `{"data":{}}`
	)
	tests := []struct {
		name    string
		answers answers
		want    outcome
		seen    []string
	}{
		{"the first", answers{inNew: {200, data}}, success, []string{inNew}},
		{"410, then the next", answers{inNew: {410, ""}, inOld: {200, data}}, success, []string{inNew, inOld}},
		{"404, 405, then none", answers{inNew: {404, ""}, inOld: {405, ""}, inNone: {200, data}}, success, []string{inNew, inOld, inNone}},
		{"400, a page, then gone", answers{inNew: {400, ""}, inOld: {200, gatewayPage}, inNone: {401, unknown}}, gone, []string{inNew, inOld, inNone}},
		{"all retired", answers{inNew: {410, ""}, inOld: {410, ""}, inNone: {404, ""}}, refused, []string{inNew, inOld, inNone}},
		{"401 of a gateway", answers{inNew: {401, gatewayPage}}, permanent, []string{inNew}},
		{"401 of a gateway, later", answers{inNew: {410, ""}, inOld: {401, gatewayJSON}}, permanent, []string{inNew, inOld}},
		{"403", answers{inNew: {403, unknown}}, refused, []string{inNew}},
		{"503", answers{inNew: {503, unknown}}, transient, []string{inNew}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRouted(t)
			h.expect(tt.answers)
			err := newClient(t, h.endpoint(), time.Now).Whoami(bounded(t), sessionToken, []string{"v23.0", "v22.0", ""}, userID)
			if got := apiOutcome(err); got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
			h.wantSeen(t, tt.seen...)
		})
	}
}

// What worked is remembered for the host, whatever its CA, and given up when it no longer works or config was written.
func TestWhatWorkedIsRemembered(t *testing.T) {
	t.Parallel()
	const (
		get23, post23, get22, post22, get21 = "GET v23.0/logout", "POST v23.0/logout", "GET v22.0/logout", "POST v22.0/logout", "GET v21.0/logout"
		who23, who22                        = "GET v23.0/user/" + userID, "GET v22.0/user/" + userID
	)
	h := newRouted(t)
	clients := workfront.NewClients(workfront.ClientsOptions{})
	t.Cleanup(clients.Close)
	logout := func(c *workfront.Client) error {
		return c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{"v23.0", "v22.0"}})
	}
	whoami := func(c *workfront.Client) error {
		return c.Whoami(bounded(t), sessionToken, []string{"v23.0", "v22.0"}, userID)
	}
	other := h.endpoint()
	other.CACert += "\n"
	first, second := clientOf(t, clients, h.endpoint()), clientOf(t, clients, other)
	is := func(status int, body string) routedAnswer { return routedAnswer{status, body} }
	const data = `{"data":{}}`
	old := map[string]routedAnswer{
		get23: is(410, ""), get22: is(405, ""), post22: is(200, loggedOut), who23: is(410, ""), who22: is(200, data),
	}
	steps := []struct {
		name    string
		before  func()
		do      func(*workfront.Client) error
		client  *workfront.Client
		answers map[string]routedAnswer
		want    []string
	}{
		{"a logout looks for what works", nil, logout, first, old, []string{get23, get22, post22}},
		{"a logout goes on with it", nil, logout, first, old, []string{post22}},
		{"so does another client", nil, logout, second, old, []string{post22}},
		{"a call looks by itself", nil, whoami, first, old, []string{who23, who22}},
		{"a call goes on with it", nil, whoami, second, old, []string{who22}},
		{
			"gone teaches nothing", nil, logout, first,
			map[string]routedAnswer{post22: is(405, ""), get23: is(401, unknown)},
			[]string{post22, get23},
		},
		{"what does not work is given up", nil, logout, first, map[string]routedAnswer{post22: is(410, ""), get23: is(200, loggedOut)}, []string{post22, get23}},
		{"for what works", nil, logout, second, map[string]routedAnswer{get23: is(200, loggedOut)}, []string{get23}},
		{
			"a session of another version begins with it, too", nil,
			func(c *workfront.Client) error {
				return c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{"v21.0"}})
			}, first,
			map[string]routedAnswer{get23: is(404, ""), get21: is(200, loggedOut)},
			[]string{get23, get21},
		},
		{"config was written", clients.ForgetWorked, logout, second, old, []string{get23, get22, post22}},
		{"which a call notices", nil, whoami, first, old, []string{who23, who22}},
	}
	for _, s := range steps {
		if s.before != nil {
			s.before()
		}
		h.expect(s.answers)
		if err := s.do(s.client); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		t.Log(s.name)
		h.wantSeen(t, s.want...)
	}
}

// Whether an answer is Workfront's own: a session past its expiry is dropped for no other one.
func TestAnsweredByWorkfront(t *testing.T) {
	t.Parallel()
	const class = `{"error":{"class":"com.attask.common.AccessException","message":"no"}}`
	tests := []struct {
		name   string
		status int
		body   string
		want   bool
	}{
		{"logged out", 200, loggedOut, true},
		{"gone", 401, unknown, true},
		{"gone on 500", 500, `{"error":{"class":"com.attask.common.AuthenticationException"}}`, true},
		{"not carried out", 200, `{"data":{"success":false}}`, true},
		{"data that is null", 200, `{"data":null}`, true},
		{"error on 200", 200, class, true},
		{"refused", 403, class, true},
		{"refused with data", 422, `{"data":[]}`, true},
		{"no such resource", 404, class, true},
		{"version retired", 410, class, true},
		{"not allowed", 405, class, true},

		{"page on 200", 200, gatewayPage, false},
		{"nothing on 200", 200, "", false},
		{"nothing on 204", 204, "", false},
		{"other JSON on 200", 200, `{"success":true}`, false},
		{"error that is text", 200, `{"error":"no"}`, false},
		{"error without a class", 403, `{"error":{"message":"no"}}`, false},
		{"class of another type", 403, `{"error":{"class":1}}`, false},
		{"redirect", 302, class, false},
		{"page on 401", 401, gatewayPage, false},
		{"gateway on 401", 401, gatewayJSON, false},
		{"page on 403", 403, gatewayPage, false},
		{"page on 404", 404, gatewayPage, false},
		{"408", 408, class, false},
		{"421", 421, class, false},
		{"425", 425, class, false},
		{"429", 429, class, false},
		{"500", 500, class, false},
		{"502", 502, class, false},
		{"503", 503, class, false},
		{"504", 504, class, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(tt.status, tt.body))
			err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}})
			if got := workfront.AnsweredByWorkfront(err); got != tt.want {
				t.Errorf("got %t for %v, want %t", got, err, tt.want)
			}
		})
	}
	t.Run("the last answer counts, not the one that is told", func(t *testing.T) {
		t.Parallel()
		h := newRouted(t)
		h.expect(map[string]routedAnswer{"GET v22.0/logout": {405, class}, "POST v22.0/logout": {404, gatewayPage}})
		err := newClient(t, h.endpoint(), time.Now).Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion}})
		var refusal *workfront.RefusedError
		if !errors.As(err, &refusal) || refusal.Status != http.StatusMethodNotAllowed || workfront.AnsweredByWorkfront(err) {
			t.Errorf("got %v, answered: %t, want that of GET, and not answered", err, workfront.AnsweredByWorkfront(err))
		}
	})
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h := newHost(t, always(200, loggedOut))
		h.Close()
		for _, ctx := range []context.Context{ctx, bounded(t)} {
			err := newClient(t, h.endpoint(), time.Now).Logout(ctx, workfront.LogoutRequest{Token: sessionToken})
			if err == nil || workfront.AnsweredByWorkfront(err) {
				t.Errorf("got %v, answered: %t, want an error that is no answer", err, workfront.AnsweredByWorkfront(err))
			}
		}
		if workfront.AnsweredByWorkfront(errors.New("other")) {
			t.Error("an error of another origin counts as answered")
		}
	})
}

// A cache that goes by the URL would answer for one session with what was said of another.
func TestCallsWithASessionPassCaches(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if got, want := strings.Join(r.Header.Values("Cache-Control"), "; "), "no-cache, no-store"; got != want {
			t.Errorf("%s: Cache-Control: got %q, want %q", r.URL.Path, got, want)
		}
		answer(w, http.StatusMethodNotAllowed, "")
	})
	c := newClient(t, h.endpoint(), time.Now)
	_ = c.Logout(bounded(t), workfront.LogoutRequest{Token: sessionToken, APIVersions: []string{apiVersion, ""}})
	_ = c.Whoami(bounded(t), sessionToken, []string{apiVersion, ""}, userID)
	_, _ = c.Identify(bounded(t), sessionToken, apiVersion)
	if got, want := h.count(), 4+2+1; got != want {
		t.Errorf("got %d requests, want %d", got, want)
	}
}
