// Package check tries the whole chain from the settings to the end of a session, step by step, and says what is likely
// to be the cause of what fails.
package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Checker runs checks on one mount. It is safe for concurrent use.
type Checker struct {
	Broker *session.Broker
	Now    func() time.Time
	// Wait waits for that long, or until the context ends; by default, by the clock of the machine.
	Wait func(context.Context, time.Duration) error
}

// Request is what to check. Role and Key are valid names, or empty.
type Request struct {
	Storage logical.Storage
	Mount   settings.Mount
	Role    string // "": the defaults of config
	Key     string // the signing key, instead of the one in use
	Observe bool   // makes two more requests, which are to be refused, and returns Result.Observations
}

// Result is what was found.
type Result struct {
	FailedStep string       // "": a token can be read
	Causes     []string     // the likeliest first, each with what to do; none if no step failed
	Steps      []StepResult // of all steps, in their order
	Warnings   []string     // what no step fails for
	// Observations has a line for each request to Workfront. It is made to be published: it holds no value of what was
	// sent or answered.
	Observations []string
}

// StepResult says how a step went: "ok" and how long it took, or what failed.
type StepResult struct{ Name, Text string }

// Step describes a step.
type Step struct{ Name, About string }

// Steps returns the steps that every check takes, until one fails.
func Steps() []Step {
	all := make([]Step, 0, len(steps()))
	for _, s := range steps() {
		all = append(all, s.Step)
	}
	return all
}

// notReached stands for the result of a step after the one that failed.
const notReached = "not reached"

// Run carries out a check. What it finds is in the Result; the error is a fault of storage, or session.ErrClosed. It is
// not cut off when its caller leaves: a session that was started is logged out, or its logout is pending. Nothing else
// is left behind.
func (c *Checker) Run(ctx context.Context, request Request) (*Result, error) {
	ctx = context.WithoutCancel(ctx)
	r := &run{Checker: c, Request: request}
	r.tester = c.Broker.Tester(r.observer())
	defer r.tester.Close()
	if err := r.takeSteps(ctx); err != nil {
		return nil, err
	}
	if r.Observe {
		r.provoke(ctx)
	}
	for _, s := range steps()[len(r.result.Steps):] {
		r.result.Steps = append(r.result.Steps, StepResult{s.Name, notReached})
	}
	return &r.result, nil
}

// run is one check.
type run struct {
	*Checker
	Request
	result Result

	tester    *session.Tester // makes all calls
	config    settings.Config
	settings  *settings.Resolved
	connected bool           // the connection step has succeeded
	startedAt time.Time      // when the exchange of the session had returned
	clockDiff time.Duration  // how far Workfront's clock is ahead
	trial     *session.Trial // nil unless its session has to be ended
	ended     *session.Trial // nil unless its session was logged out
	inUse     bool           // a lease holds the session, so it must live on
	noted     []string       // causes that were seen on the way, in case that a later step fails
	origin    string         // what the requests are made for, in observations
}

// takeSteps takes the steps until one fails. A session that was started is ended in any case.
func (r *run) takeSteps(ctx context.Context) error {
	defer r.cleanUp(ctx)
	for _, s := range steps() {
		r.origin = s.Name
		begin := time.Now()
		note, err := s.do(r, ctx)
		switch {
		case err == nil:
			text := fmt.Sprintf("ok (%d ms)%s", time.Since(begin).Milliseconds(), note)
			r.result.Steps = append(r.result.Steps, StepResult{s.Name, text})
		case isFinding(err):
			r.result.Steps = append(r.result.Steps, StepResult{s.Name, "failed: " + err.Error()})
			r.result.FailedStep, r.result.Causes = s.Name, r.causesOf(s.Name, err)
			return nil
		default:
			return err
		}
	}
	return nil // what was noted on the way has done no harm
}

// cleanUp ends a session that no step has ended. If it cannot be logged out, its logout is pending.
func (r *run) cleanUp(ctx context.Context) {
	if r.trial == nil {
		return
	}
	r.origin = "clean-up"
	_, _ = r.end(ctx)
}

// end logs out the session of the trial, unless a lease holds it.
func (r *run) end(ctx context.Context) (inUse bool, err error) {
	trial := r.trial
	r.trial = nil // it is ended once
	inUse, err = trial.End(ctx, r.Storage)
	if !inUse && err == nil {
		r.ended = trial
	}
	return inUse, err
}

// finding is what a step found where no error of Workfront's or of the settings says it.
type finding struct{ text, cause string }

func (f *finding) Error() string { return f.text }

// isFinding tells what a check finds from a fault of storage.
func isFinding(err error) bool {
	var found *finding
	var input *settings.InputError
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	var busy *workfront.BusyError
	return errors.As(err, &found) || errors.As(err, &input) || errors.As(err, &refused) ||
		errors.As(err, &unavailable) || errors.As(err, &busy) ||
		errors.Is(err, workfront.ErrUnclearLogout) || errors.Is(err, workfront.ErrSessionGone) ||
		errors.Is(err, workfront.ErrGoneTooSoon)
}
