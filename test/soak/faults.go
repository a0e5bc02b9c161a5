package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// faultMaker has Workfront fail, one way after the other, with pauses in between in which nothing may go wrong.
type faultMaker struct {
	*soak
	random *rand.Rand
}

func (k *soak) makeFaults() *faultMaker {
	return &faultMaker{soak: k, random: rand.New(rand.NewPCG(k.seed, 1<<32))}
}

// feltFor is how long after its end a fault may be felt: an answer may be on its way.
const feltFor = 4 * time.Second

// faultKinds are the ways to fail. Each returns what it did, and how to undo it.
var faultKinds = []func(f *faultMaker) (name string, undo func()){
	(*faultMaker).status, (*faultMaker).status, (*faultMaker).hang, (*faultMaker).reset, (*faultMaker).malformed,
	(*faultMaker).slow, (*faultMaker).outage, (*faultMaker).breakOff, (*faultMaker).oddLogout,
	(*faultMaker).gateway, (*faultMaker).gateway,
}

// gatewayFault is the name of a fault in which what answers is not Workfront, and nothing may get lost.
const gatewayFault = "gateway's 401"

// run goes on until ctx ends, and leaves a Workfront that works. It begins with sessions whose end is not stated, early enough
// for the assumed one to come within the round. With restarts, the plugin is then reloaded and killed.
func (f *faultMaker) run(ctx context.Context, restarts bool) {
	f.tally.fault("end of session not stated")
	f.behaveFor(ctx, 4*time.Second, 6*time.Second, func(b *workfronttest.Behaviour) { b.ExpiresIn = omitted() }, unstated, 0)
	if restarts {
		f.restarts(ctx)
	}
	for ctx.Err() == nil {
		f.between(ctx, time.Second, 6*time.Second)
		if ctx.Err() != nil {
			return
		}
		if f.random.IntN(4) == 0 {
			f.behave(ctx)
			continue
		}
		began := time.Now()
		end := f.past.begin(faulty, feltFor)
		name, undo := faultKinds[f.random.IntN(len(faultKinds))](f)
		f.tally.fault(name)
		f.between(ctx, 500*time.Millisecond, 5*time.Second)
		if name == gatewayFault {
			// What was under way when it began, a check at the most, is done by now. An error is the end of the round.
			_ = f.mustKnow(ctx, 5*time.Second, began.Add(-10*time.Second), "while a gateway answers")
		}
		undo()
		end()
	}
}

// between waits for a time between two.
func (f *faultMaker) between(ctx context.Context, least, most time.Duration) {
	wait(ctx, least+time.Duration(f.random.Int64N(int64(most-least))))
}

func oneOf[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// times is how often a fault happens; 0 is as often as it can.
func (f *faultMaker) times() int { return oneOf(f.random, 0, 0, 1, 3, 10) }

func (f *faultMaker) endpoint() workfronttest.Endpoint {
	return oneOf(f.random, workfronttest.EndpointExchange, workfronttest.EndpointLogout, workfronttest.EndpointAPI, workfronttest.EndpointAny)
}

// status answers with an error. Not with 401, except to an exchange: from Workfront itself that says of a session that
// it is gone, and a Workfront that says so of one that lives cannot be held to account.
func (f *faultMaker) status() (string, func()) {
	fault := workfronttest.Fault{
		Endpoint: f.endpoint(), Times: f.times(), Body: `{"error":{"class":"java.lang.Exception","message":"soaked"}}`, Header: http.Header{},
		Status: oneOf(f.random, 302, 403, 404, 429, 429, 500, 502, 503, 503, 504), Apply: f.random.IntN(3) == 0,
	}
	if fault.Endpoint == workfronttest.EndpointExchange && f.random.IntN(4) == 0 {
		fault.Status = http.StatusUnauthorized
	}
	if (fault.Status == 429 || fault.Status == 503) && f.random.IntN(2) == 0 {
		// A longer one stops the mount for as long, and so the rest of the run.
		fault.Header.Set("Retry-After", oneOf(f.random, "0", "1", "2"))
	}
	return fmt.Sprintf("status %d", fault.Status), f.workfront.Inject(fault)
}

// hang keeps requests waiting. Afterwards they are cut off: if they went on, an answer could cross with the plugin's giving
// up, and TCP does not tell whether it arrived.
func (f *faultMaker) hang() (string, func()) {
	at := oneOf(f.random, workfronttest.HangBeforeHandling, workfronttest.HangBeforeAnswer, workfronttest.HangMidAnswer)
	remove := f.workfront.Inject(workfronttest.Fault{Endpoint: f.endpoint(), Times: oneOf(f.random, 1, 3, 10), Hang: at})
	return "hang", func() {
		f.workfront.Suspend()
		remove()
		f.resume()
	}
}

func (f *faultMaker) resume() {
	if err := f.workfront.Resume(); err != nil {
		f.tally.fail("resume: %v", err)
	}
}

func (f *faultMaker) reset() (string, func()) {
	at := oneOf(f.random, workfronttest.ResetBeforeHandling, workfronttest.ResetAfterHandling, workfronttest.ResetMidAnswer)
	return "reset", f.workfront.Inject(workfronttest.Fault{Endpoint: f.endpoint(), Times: f.times(), Reset: at})
}

// malformed answers with success in the status and nonsense in the body.
func (f *faultMaker) malformed() (string, func()) {
	return "malformed answer", f.workfront.Inject(workfronttest.Fault{
		Endpoint: f.endpoint(), Times: f.times(), Status: http.StatusOK, Apply: f.random.IntN(3) == 0,
		Body: oneOf(f.random, "{}", "[]", "null", `{"access_token":`, `{"access_token":""}`, `{"access_token":7}`, `{"error":"soaked"}`,
			`{"data":{"success":false}}`, "<html>please log in</html>", strings.Repeat(" ", 2<<20)),
	})
}

// slow stays below every request_timeout, but retries may not fit into it any more.
func (f *faultMaker) slow() (string, func()) {
	delay := 100*time.Millisecond + time.Duration(f.random.Int64N(int64(time.Second)))
	return "slow answer", f.workfront.Inject(workfronttest.Fault{Endpoint: f.endpoint(), Times: f.times(), Delay: delay})
}

func (f *faultMaker) outage() (string, func()) {
	f.workfront.Suspend()
	return "outage", f.resume
}

// breakOff sends less than the header says.
func (f *faultMaker) breakOff() (string, func()) {
	return "broken off answer", f.workfront.Inject(workfronttest.Fault{
		Endpoint: f.endpoint(), Times: f.times(), Header: http.Header{"Content-Length": {"100000"}},
	})
}

// gateway answers in Workfront's place, as one that wants a login of its own does.
func (f *faultMaker) gateway() (string, func()) {
	return gatewayFault, f.workfront.Inject(workfronttest.Fault{
		Endpoint: oneOf(f.random, workfronttest.EndpointLogout, workfronttest.EndpointLogout, f.endpoint()),
		Gateway:  oneOf(f.random, workfronttest.GatewayPage, workfronttest.GatewayJSON),
		Times:    f.times(),
	})
}

// oddLogout answers logouts as if they had been done, or not, and does not do them.
func (f *faultMaker) oddLogout() (string, func()) {
	b := usual()
	b.LogoutAnswer = oneOf(f.random, `{"data":{"success":false}}`, `{"data":{}}`, `{"success":true}`, `<html></html>`)
	f.workfront.SetBehaviour(b)
	return "unclear logout", func() { f.workfront.SetBehaviour(usual()) }
}

// behave has Workfront do what is unusual, but no fault.
func (f *faultMaker) behave(ctx context.Context) {
	name, kind, felt := "", "", time.Duration(0)
	var change func(b *workfronttest.Behaviour)
	switch f.random.IntN(6) {
	case 0:
		name, kind, felt = "same session", sameSession, feltFor
		change = func(b *workfronttest.Behaviour) { b.SameSession = true }
	case 1:
		name, kind = "end of session not stated", unstated
		change = func(b *workfronttest.Behaviour) { b.ExpiresIn = omitted() }
	case 2:
		name = "end of session as text"
		text := fmt.Sprintf("%q", fmt.Sprint(int(idle.Seconds())))
		change = func(b *workfronttest.Behaviour) { b.ExpiresIn = &text }
	case 3:
		name = "slow exchange"
		delay := time.Duration(f.random.Int64N(int64(800 * time.Millisecond)))
		change = func(b *workfronttest.Behaviour) { b.ExchangeDelay = delay }
	case 4:
		name = "session known late"
		after := 200*time.Millisecond + time.Duration(f.random.Int64N(int64(1300*time.Millisecond)))
		change = func(b *workfronttest.Behaviour) { b.KnownAfter = after }
	case 5:
		name, kind, felt = "API version retired", retired, feltFor
		change = func(b *workfronttest.Behaviour) { b.RetiredVersions = []string{"v22.0"} }
	}
	f.tally.fault(name)
	f.behaveFor(ctx, 3*time.Second, 10*time.Second, change, kind, felt)
}

// behaveFor has Workfront behave in a way for a time between two. The kind, if there is one, says what that excuses.
func (f *faultMaker) behaveFor(ctx context.Context, least, most time.Duration, change func(b *workfronttest.Behaviour), kind string, felt time.Duration) {
	if kind != "" {
		defer f.past.begin(kind, felt)()
	}
	b := usual()
	change(&b)
	f.workfront.SetBehaviour(b)
	f.between(ctx, least, most)
	f.workfront.SetBehaviour(usual())
}

func omitted() *string {
	omit := workfronttest.OmitExpiresIn
	return &omit
}
