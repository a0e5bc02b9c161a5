package metrics

import (
	"context"
	"errors"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// outcome is what came of a call to Workfront: the value of a label.
type outcome string

const (
	success     outcome = "success"
	refused     outcome = "refused"     // Workfront declined: there is something to correct
	unavailable outcome = "unavailable" // not reached, overloaded, or no answer that can be read
	unclear     outcome = "unclear"     // a logout that Workfront did not confirm
	busy        outcome = "busy"        // its turn did not come in time; says nothing about Workfront
	canceled    outcome = "canceled"    // the one who asked has left
	failed      outcome = "error"       // something in the plugin, such as a JWT that could not be signed
)

// outcomes are all of them.
func outcomes() []outcome {
	return []outcome{success, refused, unavailable, unclear, busy, canceled, failed}
}

func outcomeOf(err error) outcome {
	var asRefused *workfront.RefusedError
	var asUnavailable *workfront.UnavailableError
	var asBusy *workfront.BusyError
	switch {
	case err == nil:
		return success
	case errors.As(err, &asRefused):
		return refused
	case errors.As(err, &asBusy):
		return busy
	case errors.As(err, &asUnavailable):
		return unavailable
	case errors.Is(err, workfront.ErrUnclearLogout), errors.Is(err, workfront.ErrGoneTooSoon):
		return unclear
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return failed
}
