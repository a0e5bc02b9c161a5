package workfront_test

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// FuzzRetryAfter looks for a Retry-After that makes a call wait beyond its deadline, ask too often, or ask too early. Time
// is that of a synctest bubble, so nothing really waits.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "1", "-5", "+2", "007", "59", "60", "3600", "9223372037", "18446744074", "9223372036854775807", "92233720368547758070", "1.5", "1e3", "soon", " 1", "1, 2",
		"Sat, 01 Jan 2000 00:00:05 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 2000 00:00:05 +0900", "Saturday, 01-Jan-00 00:00:05 GMT", "Sat Jan  1 00:00:05 2000",
	} {
		f.Add(value, uint8(2), uint8(10), false)
		f.Add(value, uint8(5), uint8(60), true)
	}
	f.Fuzz(func(t *testing.T, value string, retries, seconds uint8, unavailable bool) {
		// The ranges of max_retries and request_timeout.
		maxRetries, allowed := int(retries%6), time.Duration(1+seconds%60)*time.Second
		status := http.StatusTooManyRequests
		if unavailable {
			status = http.StatusServiceUnavailable
		}
		synctest.Test(t, func(t *testing.T) {
			var sent []time.Time
			c := newClient(t, workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"}, time.Now)
			c.Over(script(func(*http.Request) *http.Response {
				sent = append(sent, time.Now())
				resp := scripted(status, "application/json", "{}")
				resp.Header.Set("Retry-After", value)
				return resp
			}))
			ctx, cancel := context.WithTimeout(t.Context(), allowed)
			defer cancel()
			begin := time.Now()
			request := fuzzedRequest
			request.MaxRetries = maxRetries
			_, err := c.Exchange(ctx, request)
			checkOutcome(t, err, transient)
			if len(sent) < 1 || len(sent) > maxRetries+1 {
				t.Errorf("got %d attempts, want %d at most", len(sent), maxRetries+1)
			}
			if took := time.Since(begin); took >= allowed {
				t.Errorf("took %v of %v, want the answer at hand before the deadline", took, allowed)
			}
			if !regexp.MustCompile(`^[0-9]+$`).MatchString(value) { // RFC 9110, section 10.2.3: delay-seconds
				return
			}
			stated, err := strconv.ParseFloat(value, 64)
			for i := 1; i < len(sent); i++ {
				if gap := sent[i].Sub(sent[i-1]).Seconds(); err != nil || gap < stated {
					t.Errorf("attempt %d came after %v s, want %s s at least", i+1, gap, value)
				}
			}
		})
	})
}
