//go:build e2e

package test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestExpiresIn: whatever Workfront says of the lifetime of a session, the lease does not outlive what it states, or what is
// assumed where it states nothing.
func TestExpiresIn(t *testing.T) {
	t.Parallel()
	const assumed = 20 * time.Minute
	const longest = 32 * 24 * time.Hour // what Workfront can mean
	for _, c := range []struct {
		name, expiresIn string
		want            time.Duration
		stated          bool
	}{
		{"a number", "1200", 1200 * time.Second, true},
		{"a string", `"900"`, 900 * time.Second, true},
		{"a string with blanks", `" 900 "`, 900 * time.Second, true},
		{"a fraction", "900.5", 900 * time.Second, true},
		{"a large number", "9e2", 900 * time.Second, true},
		{"zero", "0", assumed, false},
		{"zero as a string", `"0"`, assumed, false},
		{"negative", "-3600", assumed, false},
		{"negative as a string", `"-1"`, assumed, false},
		{"missing", workfronttest.OmitExpiresIn, assumed, false},
		{"null", "null", assumed, false},
		{"empty", `""`, assumed, false},
		{"a word", `"soon"`, assumed, false},
		{"infinite", `"Infinity"`, assumed, false},
		{"hexadecimal", `"0x10"`, assumed, false},
		{"true", "true", assumed, false},
		{"an object", `{"seconds":900}`, assumed, false},
		{"32 days", strconv.Itoa(int(longest.Seconds())), longest, true},
		{"a second more", strconv.Itoa(int(longest.Seconds()) + 1), assumed, false},
		{"milliseconds", "28800000", assumed, false},
		{"more than fits into 64 bits", "99999999999999999999", assumed, false},
		{"absurd", "1e300", assumed, false},
		{"absurd as a string", `"1e999"`, assumed, false},
	} {
		for _, role := range []string{freshRole, sharedRole} {
			t.Run(role+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				w := startWorkfront(t, 0)
				behave(w, func(b *behaviour) { b.ExpiresIn = &c.expiresIn })
				m := withRoles(t, issuing(t, sharedVault(t), w, field("session_ttl", assumed.String())))
				began := time.Now()
				lease := m.roleToken(t, role)
				took := time.Since(began)
				// Life counts from before the exchange was sent, to the second.
				end := sessionEnd(t, lease)
				if earliest, latest := began.Add(c.want-time.Second), began.Add(took+c.want+time.Second); end.Before(earliest) || end.After(latest) {
					t.Errorf("the session ends at %s, want %s to %s", end, earliest, latest)
				}
				ttl := time.Duration(lease.LeaseDuration) * time.Second
				if ttl >= c.want || ttl < c.want-took-3*time.Second {
					t.Errorf("the lease has %s, want a little less than %s", ttl, c.want)
				}
				if stated := m.read(t, "sessions/"+sessionID(lease))["end_stated"]; stated != c.stated {
					t.Errorf("end_stated is %v, want %t", stated, c.stated)
				}
				m.revoke(t, lease)
				wantDead(t, w, lease)
			})
		}
	}
}

// TestSessionTooShort: what has no time left is not issued, and not left behind.
func TestSessionTooShort(t *testing.T) {
	t.Parallel()
	for _, expiresIn := range []string{"1.9", `"1.9"`} {
		for _, role := range []string{freshRole, sharedRole} {
			t.Run(role+"/"+expiresIn, func(t *testing.T) {
				t.Parallel()
				w := startWorkfront(t, 0)
				behave(w, func(b *behaviour) { b.ExpiresIn = &expiresIn })
				m := withRoles(t, issuing(t, sharedVault(t), w, nil))
				_, err := m.readRole(role)
				wantError(t, err, http.StatusBadGateway, "too soon to be issued")
				if s := w.Stats(); s.Started != 1 || s.LoggedOut != 1 {
					t.Errorf("sessions: %+v; want the one logged out", s)
				}
				behave(w, func(*behaviour) {})
				m.revoke(t, m.roleToken(t, role))
			})
		}
	}
}
