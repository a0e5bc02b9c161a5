package main

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

// maxClockDifference is how far Workfront's clock may be off before it is named as a cause. The answer's Date has whole
// seconds, and travels.
const maxClockDifference = 30 * time.Second

// checkRun is one run of the check.
type checkRun struct {
	b                 *backend
	req               *logical.Request
	roleName, keyName string

	config    settings.Config
	settings  *settings.Resolved
	clockDiff time.Duration  // how far Workfront's clock is ahead
	trial     *session.Trial // while the session is to be ended
	ended     *session.Trial
	inUse     bool // the session is lent out already, so it must live on

	results []string
	causes  []string
}

// checkStep does one thing. note is put behind "ok".
type checkStep struct {
	name, about string
	do          func(c *checkRun, ctx context.Context) (note string, err error)
}

// checkSteps are numbered, so that they stay in order where the command line sorts fields.
var checkSteps = []checkStep{
	{"1_settings", "Config and role", (*checkRun).checkSettings},
	{"2_signing_key", "The signing key exists", (*checkRun).checkKey},
	{"3_certificate", "Its certificate is valid now", (*checkRun).checkCertificate},
	{"4_connection", "A new connection with TLS", (*checkRun).checkConnection},
	{"5_clock", "Workfront's clock agrees with Vault's", (*checkRun).checkClock},
	{"6_exchange", "Workfront starts a session for a signed JWT", (*checkRun).checkExchange},
	{"7_call_as_user", "The session is good for a call", (*checkRun).checkCall},
	{"8_logout", "The session can be logged out", (*checkRun).checkLogout},
	{"9_session_dead", "The session is dead afterwards", (*checkRun).checkDead},
}

// run takes the steps until one fails, and returns its name. A session that was started is ended in any case. The error is a
// fault of storage.
func (c *checkRun) run(ctx context.Context) (failed string, err error) {
	defer func() {
		if c.trial != nil {
			_, _ = c.trial.End(ctx, c.req.Storage) // parked if need be
		}
	}()
	for _, s := range checkSteps {
		begin := time.Now()
		note, stepErr := s.do(c, ctx)
		switch {
		case stepErr == nil:
			c.results = append(c.results, fmt.Sprintf("ok (%d ms)%s", time.Since(begin).Milliseconds(), note))
		case isFinding(stepErr):
			c.results = append(c.results, "failed: "+stepErr.Error())
			c.causes = append(c.causesOf(s.name, stepErr), c.causes...)
			return s.name, nil
		default:
			return "", stepErr
		}
	}
	c.causes = []string{} // what was noted on the way has done no harm
	return "", nil
}

// isFinding tells what a check finds from a fault of storage.
func isFinding(err error) bool {
	var user *settings.InputError
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	return errors.As(err, &user) || errors.As(err, &refused) || errors.As(err, &unavailable) ||
		errors.Is(err, workfront.ErrUnclearLogout) || errors.Is(err, workfront.ErrSessionGone)
}

func (c *checkRun) checkSettings(ctx context.Context) (string, error) {
	effective, err := settings.Effective(ctx, c.req.Storage, mountOf(c.req), c.roleName)
	if err != nil {
		return "", err
	}
	c.config = *effective
	if c.keyName != "" {
		c.config.Key = c.keyName
	}
	if err := c.config.CheckIDs(); err != nil {
		return "", err
	}
	if c.config.UserID == "" {
		_, err = settings.ResolveConfig(ctx, c.req.Storage, mountOf(c.req), c.config, c.roleName)
	}
	return "", err
}

func (c *checkRun) checkKey(ctx context.Context) (string, error) {
	s, err := settings.ResolveConfig(ctx, c.req.Storage, mountOf(c.req), c.config, c.roleName)
	c.settings = s
	return "", err
}

// checkCertificate does not fail: whether Workfront minds the dates is not documented. If it refuses the JWT later, this is
// the first cause.
func (c *checkRun) checkCertificate(context.Context) (string, error) {
	cert, now := c.settings.Key.Certificate, c.b.now()
	switch {
	case now.After(cert.NotAfter):
		c.causes = append(c.causes, settings.ExpiryText(c.settings.KeyName, cert.NotAfter, now))
		return ", but the certificate has ended", nil
	case now.Before(cert.NotBefore):
		c.causes = append(c.causes, fmt.Sprintf("The certificate of key %q is valid from %s on, which is yet to come. Compare the clock of the Vault server, "+
			"or make a key under another name.", c.settings.KeyName, cert.NotBefore.UTC().Format(time.RFC3339)))
		return ", but the certificate is not valid yet", nil
	}
	return "", nil
}

func (c *checkRun) checkConnection(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.RequestTimeout)
	defer cancel()
	// A new connection, so that one that is kept alive hides nothing.
	greeting, err := c.b.broker.Probe(ctx, c.settings.Source.Endpoint)
	if err != nil {
		return "", err
	}
	if !greeting.Date.IsZero() {
		c.clockDiff = greeting.Date.Sub(greeting.MidRequest)
	}
	return "", nil
}

// checkClock does not fail, as checkCertificate does not.
func (c *checkRun) checkClock(context.Context) (string, error) {
	if c.clockDiff.Abs() <= maxClockDifference {
		return "", nil
	}
	direction := "ahead of"
	if c.clockDiff < 0 {
		direction = "behind"
	}
	text := fmt.Sprintf("Workfront's clock is %s %s Vault's", c.clockDiff.Abs().Round(time.Second), direction)
	c.causes = append(c.causes, text+", so that a JWT is out of its time when it arrives. Set the clock of the Vault server (NTP).")
	return ", but " + text, nil
}

func (c *checkRun) checkExchange(ctx context.Context) (string, error) {
	trial, err := c.b.broker.Try(ctx, c.settings.Source)
	c.trial = trial
	return "", err
}

func (c *checkRun) checkCall(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.RequestTimeout)
	defer cancel()
	return "", c.trial.Call(ctx)
}

func (c *checkRun) checkLogout(ctx context.Context) (string, error) {
	trial := c.trial
	c.trial = nil // End is called once
	inUse, err := trial.End(ctx, c.req.Storage)
	c.inUse = inUse
	if inUse {
		return ", left out: the session is lent out already", err
	}
	c.ended = trial
	return "", err
}

func (c *checkRun) checkDead(ctx context.Context) (string, error) {
	if c.inUse {
		return ", left out: the session is lent out already", nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.RequestTimeout)
	defer cancel()
	switch err := c.ended.Call(ctx); {
	case errors.Is(err, workfront.ErrSessionGone):
		return "", nil
	case err != nil:
		return "", err
	}
	return "", &settings.InputError{Text: "Workfront confirmed the logout, but the session is still good for calls"}
}
