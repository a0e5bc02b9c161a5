package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// The steps that others than their own function speak of.
const (
	stepConnection = "4_connection"
	stepExchange   = "6_exchange"
	stepCall       = "7_call_as_user"
)

// step does one thing. What it returns as note is put behind "ok".
type step struct {
	Step
	do func(r *run, ctx context.Context) (note string, err error)
}

// steps are numbered, so that they stay in order where the command line sorts fields.
func steps() []step {
	return []step{
		{Step{"1_settings", "Config and role"}, (*run).checkSettings},
		{Step{"2_signing_key", "The signing key exists"}, (*run).checkKey},
		{Step{"3_certificate", "Its certificate is valid now"}, (*run).checkCertificate},
		{Step{stepConnection, "A new connection with TLS"}, (*run).checkConnection},
		{Step{"5_clock", "Workfront's clock agrees with Vault's"}, (*run).checkClock},
		{Step{stepExchange, "Workfront starts a session for a signed JWT"}, (*run).checkExchange},
		{Step{stepCall, "The session is good for a call"}, (*run).checkCall},
		{Step{"8_logout", "The session can be logged out"}, (*run).checkLogout},
		{Step{"9_session_dead", "The session is dead afterwards"}, (*run).checkDead},
	}
}

// maxClockDifference is how far Workfront's clock may be off before it is named as a cause. The answer's Date has whole
// seconds, and travels.
const maxClockDifference = 30 * time.Second

// inUseNote is put behind the steps that are skipped because the session must live on.
const inUseNote = ", skipped: a lease holds the session"

func (r *run) checkSettings(ctx context.Context) (string, error) {
	effective, err := settings.Effective(ctx, r.Storage, r.Mount, r.Role)
	if err != nil {
		return "", err
	}
	r.config = *effective
	if r.Key != "" {
		r.config.Key = r.Key
	}
	r.warnOfAPIVersion()
	if err := r.config.CheckIDs(); err != nil {
		return "", err
	}
	if r.config.UserID == "" {
		_, err = settings.ResolveConfig(ctx, r.Storage, r.Mount, r.config, r.Role)
	}
	return "", err
}

// supportNotice is how long before the support of an API version ends operators are told.
const supportNotice = 180 * 24 * time.Hour

func (r *run) warnOfAPIVersion() {
	version, now := r.config.APIVersion, r.Now()
	end, known := workfront.SupportEnds(version)
	when := "ended in " + end.Format("January 2006")
	switch {
	case !known || now.Before(end.Add(-supportNotice)):
		return
	case end.IsZero():
		when = "has ended"
	case now.Before(end):
		when = "ends in " + end.Format("January 2006")
	}
	r.warn("Adobe's support for api_version %s %s. Set a newer version that your Workfront supports: %s.",
		version, when, r.setAPIVersion())
}

// setAPIVersion is the command that sets api_version, to the default if that is another one.
func (r *run) setAPIVersion() string {
	newer := "..."
	if r.config.APIVersion != settings.DefaultAPIVersion {
		newer = settings.DefaultAPIVersion
	}
	return r.Mount.Command("patch", settings.ConfigKey, settings.FieldAPIVersion+"="+newer)
}

func (r *run) warn(format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(format, args...))
}

func (r *run) checkKey(ctx context.Context) (string, error) {
	resolved, err := settings.ResolveConfig(ctx, r.Storage, r.Mount, r.config, r.Role)
	if err != nil {
		return "", err
	}
	r.settings = resolved
	if text := settings.ExpiryText(resolved.KeyName, resolved.Key.Certificate.NotAfter, r.Now()); text != "" {
		r.warn("%s", text)
	}
	return "", nil
}

// checkCertificate does not fail: whether Workfront minds the dates is not documented. If it refuses the JWT later,
// this is the first cause.
func (r *run) checkCertificate(context.Context) (string, error) {
	cert, now := r.settings.Key.Certificate, r.Now()
	switch {
	case now.After(cert.NotAfter):
		r.noted = append(r.noted, settings.ExpiryText(r.settings.KeyName, cert.NotAfter, now))
		return ", but the certificate has expired", nil
	case now.Before(cert.NotBefore):
		r.noted = append(r.noted, fmt.Sprintf("The certificate for key %q is not valid before %s. Check the clock of "+
			"the Vault server, "+
			"or generate a key under another name.", r.settings.KeyName, cert.NotBefore.UTC().Format(time.RFC3339)))
		return ", but the certificate is not valid yet", nil
	}
	return "", nil
}

func (r *run) checkConnection(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.RequestTimeout)
	defer cancel()
	// A new connection, so that one that is kept alive hides nothing. The steps that follow use it, too.
	greeting, err := r.tester.Probe(ctx, r.settings.Source.Endpoint)
	if err != nil {
		return "", err
	}
	r.connected = true
	if !greeting.Date.IsZero() {
		r.clockDiff = greeting.Date.Sub(greeting.MidRequest)
	}
	return "", nil
}

// checkClock does not fail, as checkCertificate does not.
func (r *run) checkClock(context.Context) (string, error) {
	if r.clockDiff.Abs() <= maxClockDifference {
		return "", nil
	}
	direction := "ahead of"
	if r.clockDiff < 0 {
		direction = "behind"
	}
	text := fmt.Sprintf("Workfront's clock is %s %s Vault's", r.clockDiff.Abs().Round(time.Second), direction)
	r.noted = append(r.noted, text+", so a JWT is outside its validity when it arrives. Set the clock of the Vault "+
		"server (NTP).")
	return ", but " + text, nil
}

func (r *run) checkExchange(ctx context.Context) (string, error) {
	trial, err := r.tester.Try(ctx, r.settings.Source)
	r.trial, r.startedAt = trial, r.Now()
	if err == nil {
		r.observeLifetime()
	}
	return "", err
}

// checkCall makes a call as the user, and compares what Workfront says of the session with the settings, if it says
// anything.
func (r *run) checkCall(ctx context.Context) (string, error) {
	if err := r.whileYoung(ctx, r.trial.Call); err != nil {
		return "", err
	}
	var said *workfront.Identity
	err := r.whileYoung(ctx, func(ctx context.Context) (err error) {
		said, err = r.trial.Identify(ctx)
		return err
	})
	if err != nil {
		return r.uncompared()
	}
	return r.compare(said)
}

// A session younger than youngAge may not be known to all of Workfront yet: a call that is answered so is repeated
// once, after youngWait.
const (
	youngAge  = 10 * time.Second
	youngWait = 2 * time.Second
)

// whileYoung makes a call with the session of the trial, and once more if Workfront does not know a young session.
func (r *run) whileYoung(ctx context.Context, call func(context.Context) error) error {
	attempt := func() error {
		ctx, cancel := context.WithTimeout(ctx, r.config.RequestTimeout)
		defer cancel()
		return call(ctx)
	}
	err := attempt()
	if !errors.Is(err, workfront.ErrSessionGone) || r.Now().Sub(r.startedAt) >= youngAge {
		return err
	}
	if err := r.wait(ctx, youngWait); err != nil {
		return err
	}
	return attempt()
}

func (r *run) wait(ctx context.Context, d time.Duration) error {
	if r.Wait != nil {
		return r.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) checkLogout(ctx context.Context) (string, error) {
	inUse, err := r.end(ctx)
	if inUse {
		r.inUse = true
		r.warn("Workfront returned a session that a lease already holds. It was not logged out, so the logout could " +
			"not be checked.")
		return inUseNote, err
	}
	return "", err
}

func (r *run) checkDead(ctx context.Context) (string, error) {
	if r.inUse {
		return inUseNote, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.RequestTimeout)
	defer cancel()
	switch err := r.ended.Call(ctx); {
	case errors.Is(err, workfront.ErrSessionGone):
		return "", nil
	case err != nil:
		return "", err
	}
	const text = "Workfront confirmed the logout, but the session is still good for calls"
	return "", &finding{text, text + ". " + reportIt(r.Mount)}
}

// reportIt is what to do about behavior of Workfront's that nobody expects.
func reportIt(mount settings.Mount) string {
	return "Report it to Adobe's support, with the output of " + observeCommand(mount) + "."
}

func observeCommand(mount settings.Mount) string {
	return mount.Command("write -field=observations", "check", "observe=true")
}
