package workfronttest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
)

// Each shape of a fault, as a plain client sees it, and what it leaves in the accounts.
func TestFaultOnExchange(t *testing.T) {
	reset := func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	cutShort := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
	tests := []struct {
		name  string
		fault Fault
		fails func(error) bool // nil: an answer comes
		want  reply            // header: those that must be there
		stats Stats
	}{
		{
			"status",
			Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}},
			nil,
			reply{503, http.Header{"Retry-After": {"7"}, "Content-Type": {jsonType}}, ""},
			Stats{},
		},
		{
			"page",
			Fault{Status: 502, Body: "<html>", Header: http.Header{"content-type": {"text/html"}}},
			nil,
			reply{502, http.Header{"Content-Type": {"text/html"}}, "<html>"},
			Stats{},
		},
		{
			"redirect",
			Fault{Status: 307, Header: http.Header{"Location": {"https://elsewhere.example/"}}},
			nil,
			reply{307, http.Header{"Location": {"https://elsewhere.example/"}}, ""},
			Stats{},
		},
		{"no content", Fault{Status: 204, Body: "lost"}, nil, reply{204, nil, ""}, Stats{}},
		{"body alone", Fault{Body: `{"access_token":""}`}, nil, reply{200, nil, `{"access_token":""}`}, Stats{}},
		{"huge body", Fault{Body: strings.Repeat("a", 10<<20)}, nil, reply{200, nil, strings.Repeat("a", 10<<20)}, Stats{}},
		{"status after handling", Fault{Status: 504, Apply: true}, nil, reply{504, nil, ""}, Stats{Started: 1, Undelivered: 1}},
		{
			"malformed after handling",
			Fault{Body: `{"access_token":"a`, Apply: true},
			nil,
			reply{200, nil, `{"access_token":"a`},
			Stats{Started: 1, Undelivered: 1},
		},
		{
			"date of the real answer",
			Fault{Header: http.Header{"Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}}},
			nil,
			reply{200, http.Header{"Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}}, "*"},
			Stats{Started: 1, Alive: 1},
		},
		{"delay", Fault{Delay: time.Millisecond}, nil, reply{200, nil, "*"}, Stats{Started: 1, Alive: 1}},
		{"shorter than announced", Fault{Status: 200, Body: "{", Header: http.Header{"Content-Length": {"9"}}}, cutShort, reply{}, Stats{}},
		{
			"real one shorter than announced",
			Fault{Header: http.Header{"Content-Length": {"9999"}}},
			cutShort,
			reply{},
			Stats{Started: 1, Undelivered: 1},
		},
		{"reset before handling", Fault{Reset: ResetBeforeHandling}, reset, reply{}, Stats{}},
		{"reset after handling", Fault{Reset: ResetAfterHandling}, reset, reply{}, Stats{Started: 1, Undelivered: 1}},
		{"reset within the answer", Fault{Reset: ResetMidAnswer}, reset, reply{}, Stats{Started: 1, Undelivered: 1}},
		{"reset within a replaced answer", Fault{Reset: ResetMidAnswer, Status: 200, Body: "{}"}, reset, reply{}, Stats{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			test.fault.Endpoint, test.fault.Times = EndpointExchange, 1
			f.Inject(test.fault)
			got, err := f.tryExchange()
			switch {
			case test.fails != nil:
				if err == nil || !test.fails(err) {
					t.Errorf("error: got %v", err)
				}
			case err != nil:
				t.Fatal(err)
			case got.status != test.want.status || test.want.body != "*" && got.body != test.want.body:
				t.Errorf("got %d %.80s", got.status, got.body)
			}
			for name := range test.want.header {
				if got, want := got.header.Get(name), test.want.header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			test.stats.Exchanges = 1
			f.wantStats(test.stats)

			f.token() // the fault is used up
			test.stats.Exchanges++
			test.stats.Started++
			test.stats.Alive++
			f.wantStats(test.stats)
			f.clock.Advance(time.Hour) // what was not delivered stays so
			test.stats.Expired, test.stats.Alive = test.stats.Alive, 0
			f.wantStats(test.stats)
		})
	}
}

func TestResetConnectionsLeaveNoStatus(t *testing.T) {
	f := newFixture(t, Options{})
	defer f.Inject(Fault{Reset: ResetAfterHandling})()
	if _, err := f.tryExchange(); err == nil {
		t.Fatal("got an answer")
	}
	for _, r := range f.Requests() {
		if r.Status != 0 {
			t.Errorf("status: got %d, want 0", r.Status)
		}
	}
}

func TestHang(t *testing.T) {
	tests := []struct {
		point   HangPoint
		hanging Stats // while it hangs, and after the client has left
	}{
		{HangBeforeHandling, Stats{Exchanges: 1}},
		{HangBeforeAnswer, Stats{Exchanges: 1, Started: 1, Undelivered: 1}},
		{HangMidAnswer, Stats{Exchanges: 1, Started: 1, Undelivered: 1}},
	}
	ends := map[string]func(f *fixture, remove, leave func()){
		"client leaves": func(_ *fixture, _, leave func()) { leave() },
		"server closes": func(f *fixture, _, _ func()) { f.Close() },
		"removed":       func(_ *fixture, remove, _ func()) { remove(); remove() },
		"cleared":       func(f *fixture, _, _ func()) { f.ClearFaults() },
	}
	for _, test := range tests {
		for name, end := range ends {
			t.Run(string(test.point)+" "+name, func(t *testing.T) {
				over := make(chan struct{})
				f := newFixture(t, Options{Log: func(Request) { close(over) }})
				remove := f.Inject(Fault{Endpoint: EndpointExchange, Hang: test.point, Times: 1})
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				var (
					got    reply
					err    error
					client sync.WaitGroup
				)
				client.Go(func() { got, err = f.do(f.exchangeRequest(ctx, f.form(f.jwt(nil)))) })
				await.That(t, "the request arrives", func() bool {
					s := f.Stats()
					s.Connections, s.CallsUnderWay, s.PeakCalls = 0, 0, 0
					return s == test.hanging
				})
				if test.point == HangMidAnswer {
					await.That(t, "the answer begins", func() bool { return f.Requests()[0].Status == 200 })
				}
				end(f, remove, leave)
				client.Wait()
				<-over
				want := test.hanging
				if name == "removed" || name == "cleared" {
					if err != nil || got.status != 200 {
						t.Errorf("got %d, %v", got.status, err)
					}
					want = Stats{Exchanges: 1, Started: 1, Alive: 1}
				} else if err == nil {
					t.Errorf("got an answer: %d", got.status)
				}
				f.wantStats(want)
			})
		}
	}
}

func TestDelayEnds(t *testing.T) {
	f := newFixture(t, Options{})
	f.Inject(Fault{Endpoint: EndpointExchange, Delay: time.Hour, Times: 2})
	ctx, leave := context.WithCancel(t.Context())
	f.OnEvent(func(Event) { leave() })
	if _, err := f.do(f.exchangeRequest(ctx, f.form(f.jwt(nil)))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.OnEvent(nil)
	f.wantStats(Stats{Exchanges: 1})
	var second sync.WaitGroup
	second.Go(func() {
		if got, err := f.tryExchange(); err != nil || got.status != 200 {
			t.Errorf("got %d, %v", got.status, err)
		}
	})
	await.That(t, "the second arrives", func() bool { return f.Stats().Exchanges == 2 })
	f.ClearFaults()
	second.Wait()
	f.wantStats(Stats{Exchanges: 2, Started: 1, Alive: 1})
}

func TestFaultOnLogout(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	f.Inject(Fault{Endpoint: EndpointLogout, Times: 1, Status: 500})
	if got := f.call("GET", logoutPath, token); got.status != 500 || !f.SessionAlive(token) {
		t.Errorf("got %d, alive %t; want 500 and alive", got.status, f.SessionAlive(token))
	}
	f.Inject(Fault{Endpoint: EndpointLogout, Times: 1, Status: 500, Apply: true})
	if got := f.call("GET", logoutPath, token); got.status != 500 || f.SessionAlive(token) {
		t.Errorf("got %d, alive %t; want 500 and dead", got.status, f.SessionAlive(token))
	}
	f.wantStats(Stats{Exchanges: 1, Started: 1, LoggedOut: 1})
}

func TestFaultMatching(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	status := func(path string) int { return f.call("GET", path, token).status }
	want := func(path string, want int) {
		t.Helper()
		if got := status(path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	first := f.Inject(Fault{Endpoint: EndpointAPI, Status: 501})
	f.Inject(Fault{Endpoint: EndpointAPI, Times: 2, Status: 502})
	f.Inject(Fault{Endpoint: EndpointAny, Status: 503})
	want(searchPath, 501)
	want(searchPath, 501) // without Times it lasts
	want(logoutPath, 503)
	want("/", 503)
	first()
	want(searchPath, 502)
	want(searchPath, 502)
	want(searchPath, 503)
	f.ClearFaults()
	f.Inject(Fault{Status: 504, Times: 1})
	want("/", 504)
	want(searchPath, 200)
}

// A gateway's own 401 says nothing of the session, and looks like nothing of Workfront's.
func TestGateway(t *testing.T) {
	f := newFixture(t, Options{})
	token := f.token()
	tests := []struct {
		gateway           Gateway
		contentType, body string
		challenge         string
	}{
		{GatewayPage, htmlType, "<!doctype html>", `Basic realm="gateway"`},
		{GatewayJSON, "application/json", `{"code":401,"message":"Unauthorized"}`, ""},
	}
	for _, test := range tests {
		t.Run(string(test.gateway), func(t *testing.T) {
			remove := f.Inject(Fault{Endpoint: EndpointAny, Gateway: test.gateway})
			defer remove()
			for _, path := range []string{searchPath, logoutPath, sessionPath, exchangePath, "/"} {
				got := f.call("GET", path, token)
				if got.status != 401 || !strings.HasPrefix(got.body, test.body) || got.header.Get("Content-Type") != test.contentType ||
					got.header.Get("WWW-Authenticate") != test.challenge {
					t.Errorf("%s: got %d %v %s", path, got.status, got.header, got.body)
				}
			}
			if !f.SessionAlive(token) {
				t.Error("the session is dead, want it alive")
			}
		})
	}
}

func TestInjectRefusesNonsense(t *testing.T) {
	f := newFixture(t, Options{})
	for name, fault := range map[string]Fault{
		"endpoint": {Endpoint: "login"},
		"hang":     {Hang: "sometimes"},
		"reset":    {Reset: "sometimes"},
		"times":    {Times: -1},
		"delay":    {Delay: -1},
		"status":   {Status: 100},
		"gateway":  {Gateway: "xml"},
		"two":      {Gateway: GatewayPage, Status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f.Inject(fault)
		})
	}
}

func TestEvents(t *testing.T) {
	over := make(chan Request, 3)
	f := newFixture(t, Options{Log: func(r Request) { over <- r }})
	var events []Event // each request is over before the next, so no two callbacks run at once
	f.OnEvent(func(e Event) {
		if started := f.Stats().Started; e.Kind == ExchangeReceived && started != 0 {
			t.Errorf("%d sessions started before the exchange", started)
		}
		events = append(events, e)
	})
	token := f.token()
	<-over
	f.call("GET", searchPath, token)
	<-over
	f.call("GET", logoutPath, token)
	<-over
	want := []Event{{ExchangeReceived, 0}, {ExchangeAnswered, 200}, {LogoutReceived, 0}, {LogoutAnswered, 200}}
	if !slices.Equal(events, want) {
		t.Errorf("got %v, want %v", events, want)
	}
}

// A client that leaves while its exchange is under way leaves a session behind that nobody knows of.
func TestClientLeavesDuringExchangeDelay(t *testing.T) {
	over := make(chan struct{})
	f := newFixture(t, Options{Log: func(Request) { close(over) }})
	f.SetBehaviour(Behaviour{ExchangeDelay: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	var client sync.WaitGroup
	client.Go(func() {
		if _, err := f.do(f.exchangeRequest(ctx, f.form(f.jwt(nil)))); err == nil {
			t.Error("got an answer")
		}
	})
	await.That(t, "the session starts", func() bool { return f.Stats().Started == 1 })
	leave()
	client.Wait()
	<-over
	f.wantStats(Stats{Exchanges: 1, Started: 1, Undelivered: 1})
}

// net/http does not notice that the client of a half-read request has left, but the hang ends with the server.
func TestCloseEndsHangOfHalfReadRequest(t *testing.T) {
	over := make(chan struct{})
	f := newFixture(t, Options{Log: func(Request) { close(over) }})
	f.Inject(Fault{Hang: HangBeforeHandling})
	form := f.form("a")
	form.Set("more", strings.Repeat("a", 4<<20))
	var client sync.WaitGroup
	client.Go(func() {
		if _, err := f.do(f.exchangeRequest(t.Context(), form)); err == nil {
			t.Error("got an answer")
		}
	})
	await.That(t, "the request arrives", func() bool { return f.Stats().Exchanges == 1 })
	f.Close()
	client.Wait()
	<-over
}

// brokenWriter is a client that left in the instant in which its answer is written.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Header() http.Header       { return http.Header{} }
func (brokenWriter) WriteHeader(int)           {}
func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestFailedWriteIsNoDelivery(t *testing.T) {
	f := newFixture(t, Options{})
	f.OnEvent(func(e Event) {
		if e.Kind == ExchangeAnswered {
			t.Error("an answer that could not be written counts as given")
		}
	})
	for _, fault := range []Fault{{}, {Hang: HangMidAnswer}} {
		request := f.exchangeRequest(t.Context(), nil)
		request.Body = io.NopCloser(strings.NewReader(f.form(f.jwt(nil)).Encode()))
		f.Inject(fault)
		func() {
			defer func() {
				if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) {
					t.Errorf("got %v", got)
				}
			}()
			f.serve(brokenWriter{}, request)
		}()
		f.ClearFaults()
	}
	f.wantStats(Stats{Exchanges: 2, Started: 2, Undelivered: 2})
}
