package workfront_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// bodySize is just below what is read of an answer.
const bodySize = 60 << 10

// filled repeats a part until a body is as long as one may be.
func filled(head, part, tail string) string {
	return head + strings.Repeat(part, (bodySize-len(head)-len(tail))/len(part)) + tail
}

var largeBodies = []struct{ name, body string }{
	{"a message", filled(`{"message":"`, "the client is unknown ", `"}`)},
	{"a message without blanks", filled(`{"message":"`, "a", `"}`)},
	{"a message of control characters", filled(`{"message":"`, `\u0000`, `"}`)},
	{"a message of two-byte letters", filled(`{"message":"`, "é", `"}`)},
	{"a message of punctuation", filled(`{"message":"`, ". ", `"}`)},
	{"a message like JWTs", filled(`{"message":"`, "eyJ.", `"}`)},
	{"an error", filled(`{"error":"`, "invalid_client ", `"}`)},
	{"a class", filled(`{"error":{"class":"`, "com.attask.", `"}}`)},
	{"all of them", `{"error":"` + filled("", "x ", "")[:bodySize/3] + `","error_description":"` + filled("", "x ", "")[:bodySize/3] +
		`","message":"` + filled("", "x ", "")[:bodySize/3-100] + `"}`},
	{"members", filled(`{"a":0`, `,"b":1`, `}`)},
	{"members with escapes in their names", filled(`{"a":0`, `,"\u0062":1`, `}`)},
	{"the same member", filled(`{"message":""`, `,"message":"x"`, `}`)},
	{"members of an error", filled(`{"error":{"a":0`, `,"b":1`, `}}`)},
	{"a list", filled(`{"a":[0`, `,[]`, `]}`)},
	{"depth", strings.Repeat(`{"a":`, 2000) + "0" + strings.Repeat("}", 2000)},
	{"a number", filled(`{"expires_in":`, "1", `}`)},
}

// allocated returns how many bytes a refused exchange allocates with that answer.
func allocated(tb testing.TB, status int, body string) uint64 {
	tb.Helper()
	clients := workfront.NewClients(workfront.ClientsOptions{})
	defer clients.Close()
	c, err := clients.Client(workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"})
	if err != nil {
		tb.Fatal(err)
	}
	c.Over(script(func(*http.Request) *http.Response { return scripted(status, "application/json", body) }))
	const runs = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if _, err := c.Exchange(tb.Context(), fuzzedRequest); err == nil {
			tb.Fatal("got no error, want one")
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

// A gateway can answer anything. What is allocated for it, beside the reading of its bytes, is
// bounded by what can be shown, and
// not by what came. It is no parallel test: what others allocate would count.
func TestMemoryForAnAnswerIsBounded(t *testing.T) {
	reading := allocated(t, http.StatusUnauthorized, strings.Repeat(" ", bodySize))
	for _, status := range []int{http.StatusUnauthorized, http.StatusOK} {
		for _, tt := range largeBodies {
			t.Run(fmt.Sprintf("%d, %s", status, tt.name), func(t *testing.T) {
				const most = 32 << 10 // a hundred messages
				if got := allocated(t, status, tt.body); got > reading+most {
					t.Errorf("got %d bytes, want %d at most, of which %d are for the reading", got, reading+most, reading)
				}
			})
		}
	}
}

func BenchmarkRefusal(b *testing.B) {
	for _, bb := range largeBodies {
		b.Run(strings.ReplaceAll(bb.name, " ", "-"), func(b *testing.B) {
			clients := workfront.NewClients(workfront.ClientsOptions{})
			defer clients.Close()
			c, err := clients.Client(workfront.Endpoint{BaseURL: "https://acme.my.workfront.com"})
			if err != nil {
				b.Fatal(err)
			}
			c.Over(script(func(*http.Request) *http.Response {
				return scripted(http.StatusUnauthorized, "application/json", bb.body)
			}))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Exchange(b.Context(), fuzzedRequest); err == nil {
					b.Fatal("got no error, want one")
				}
			}
		})
	}
}
