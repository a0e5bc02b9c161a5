package check

import (
	"context"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// What the deliberate requests are called in observations.
const (
	originWrongSignature = "wrong_signature"
	originSecondLogout   = "second_logout"
)

// observer returns what notes the requests of a step, or nil if nobody asked for that.
func (r *run) observer() func(workfront.Observation) {
	if !r.Observe {
		return nil
	}
	return func(o workfront.Observation) { r.observe(o.String()) }
}

// observe adds a line to the observations. text must hold nothing of what was sent or answered.
func (r *run) observe(text string) {
	if r.Observe {
		r.result.Observations = append(r.result.Observations, r.origin+": "+text)
	}
}

// observeLifetime tells whether Workfront stated a lifetime of the session, and not which.
func (r *run) observeLifetime() {
	switch {
	case r.trial.Disbelieved:
		r.observe("expires_in is more than 32 days, so it counts as not stated")
	case r.trial.Stated:
		r.observe("expires_in is stated")
	default:
		r.observe("expires_in is not stated, or 0, or not a number")
	}
}

// provoke makes two requests that Workfront has to refuse, to see how it does: an exchange of a JWT with a wrong
// signature, and the logout of a session that is logged out. What comes of them is in the observations, and decides
// nothing.
func (r *run) provoke(ctx context.Context) {
	r.origin = originWrongSignature
	if r.connected {
		r.exchangeWrongSignature(ctx)
	} else {
		r.observe("not sent, because there was no connection")
	}
	r.origin = originSecondLogout
	if r.ended == nil {
		r.observe("not sent, because no session was logged out")
		return
	}
	// Its error is what was expected, and the observer has seen it.
	if sent, _ := r.ended.LogoutAgain(ctx, r.Storage); !sent {
		r.observe("not sent, because the session may be in use again")
	}
}

func (r *run) exchangeWrongSignature(ctx context.Context) {
	source := r.settings.Source
	source.Signer = source.Signer.WithWrongSignature()
	trial, _ := r.tester.Try(ctx, source) // its error is what was expected
	if trial == nil {
		return
	}
	r.observe("Workfront started a session for it")
	r.warn("Workfront started a session for a JWT with a wrong signature. Anyone who knows the client secret can do "+
		"so, without the "+
		"private key. %s", reportIt(r.Mount))
	r.origin = "clean-up"
	_, _ = trial.End(ctx, r.Storage) // if it cannot be logged out, its logout is pending
}
