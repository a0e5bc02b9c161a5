package workfront_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// FuzzRefusalQuotes marks a secret, spells it in one way and the result in another, and looks for it in what is told of
// the refusal that quotes it, wherever that is cut.
func FuzzRefusalQuotes(f *testing.F) {
	// Without vowels and small numbers, no secret is made of words of the vocabulary.
	const alphabet = "6789BCFGHJKLMNPQRVWXZbcfghjklmnpqrvwxz"
	frames := []string{
		`{"message":%}`, `{"error":%}`, `{"error":true,"type":%,"message":"refused"}`, `{"error":"invalid_client","error_description":%}`,
		`{"error":{"class":"com.attask.common.APIException","message":%}}`, `{"error":{"class":%}}`,
	}
	for i := range spellings {
		f.Add([]byte("a mark of some length, long enough"), uint8(i), uint8(0), uint8(i), uint16(0))
		f.Add([]byte("another mark, 0123456789abcdef"), uint8(0), uint8(i), uint8(2*i), uint16(290))
		f.Add([]byte("qwertyuiopasdfghjklzxcvbnm"), uint8(i), uint8(i), uint8(i/2), uint16(580))
	}
	f.Fuzz(func(t *testing.T, seed []byte, first, second, frame uint8, pad uint16) {
		if len(seed) < 16 || len(seed) > 200 {
			return // no secret is of such a length
		}
		var secret strings.Builder
		for _, b := range seed {
			secret.WriteByte(alphabet[int(b)%len(alphabet)])
		}
		spelled := spellings[int(first)%len(spellings)].spell(secret.String())
		if len(spelled) >= 16 {
			spelled = spellings[int(second)%len(spellings)].spell(spelled)
		}
		text := strings.Repeat("the client is unknown ", 40)[:int(pad)%700] + spelled
		quoted := strings.ReplaceAll(strconv.QuoteToASCII(text), `\x`, `\u00`)
		quoted = strings.NewReplacer(`\a`, `\u0007`, `\v`, `\u000b`).Replace(quoted)
		body := strings.ReplaceAll(frames[int(frame)%len(frames)], "%", quoted)
		got := refusalFor(t, secret.String(), http.StatusUnauthorized, body)
		checkHoldsNone(t, got.Error(), secret.String())
		// The words of the vocabulary that stand around the secret are ours.
		told := strings.NewReplacer("the client is unknown", "|", "client_secret", "|").Replace(got.Error())
		for i := 0; i+12 <= len(spelled); i++ {
			if part := spelled[i : i+12]; !strings.ContainsAny(part, " \t\r\n") && strings.Contains(told, part) {
				t.Errorf("got %q, want nothing of %q in it", told, spelled)
			}
		}
	})
}
