package check

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// causesOf returns what may have made a step fail, the likeliest first. Where the evidence decides, that is one cause,
// before what was noted on the way. A refused exchange decides little: then it is all candidates; see
// refusalCandidates.
func (r *run) causesOf(step string, err error) []string {
	var refused *workfront.RefusedError
	if errors.As(err, &refused) && step == stepExchange {
		return r.refusalCandidates(refused)
	}
	causes := []string{r.causeOf(err)}
	var unavailable *workfront.UnavailableError
	if errors.As(err, &unavailable) {
		causes = append(causes, middleboxCauses(unavailable, runtime.Version())...)
	}
	return append(causes, r.noted...)
}

func (r *run) causeOf(err error) string {
	var found *finding
	var input *settings.InputError
	var busy *workfront.BusyError
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	switch {
	case errors.As(err, &found):
		return found.cause
	case errors.As(err, &input):
		return input.Text
	case errors.As(err, &busy):
		return r.busyCause(busy)
	case errors.As(err, &unavailable):
		return unavailableCause(unavailable, r.config.BaseURL)
	case errors.Is(err, workfront.ErrSessionGone):
		return "Workfront does not know the session that it has just started. Check that base_url is the domain of " +
			"this very Workfront, " +
			"and that no gateway in between drops the header sessionID."
	case errors.Is(err, workfront.ErrGoneTooSoon):
		return "Workfront did not know the session yet when it was asked to log it out. The session is kept as " +
			"logout_pending, and the logout is retried."
	case errors.Is(err, workfront.ErrUnclearLogout):
		return "Workfront did not confirm the logout. Compare api_version with the versions that your Workfront " +
			"supports. " +
			"The session is kept as logout_pending, and the logout is retried."
	case errors.As(err, &refused) && refused.Status == http.StatusGone:
		return fmt.Sprintf("Workfront no longer offers api_version %s (HTTP status 410). Set a newer one: %s.",
			r.config.APIVersion, r.setAPIVersion())
	case errors.As(err, &refused):
		return fmt.Sprintf("Workfront refused the call (HTTP status %d). Check that the user %s is active and may "+
			"use the API, and that your Workfront "+
			"supports api_version %s.", refused.Status, r.config.UserID, r.config.APIVersion)
	}
	return err.Error()
}

// busyCause is for a call that waited in vain for its turn, which says nothing of Workfront.
func (r *run) busyCause(err *workfront.BusyError) string {
	if err.Reason != "" {
		return fmt.Sprintf("The request was not sent: %s. Run the check again later.", err.Reason)
	}
	return fmt.Sprintf("The request was not sent: %d calls of this mount to Workfront are under way, and "+
		"max_connections is %d. Run the check "+
		"again later. If this goes on, share sessions (share_session), or raise the limit: "+
		"%s.", err.UnderWay, err.Limit,
		r.Mount.Command("patch", settings.ConfigKey, settings.FieldMaxConnections+"=..."))
}
