//go:build e2e

package test

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

const (
	// large is more than any field takes, and less than the 1 MiB at which Vault itself refuses.
	large = 900 << 10
	// maxAnswer is how long the answer to a request that is refused may be, in bytes: no echo of what was sent.
	maxAnswer = 4 << 10
	// maxGrowth is by how much the plugin's resident memory may have grown in the end, in KiB. Some 250 requests of up to 1 MiB
	// come in between, of which the garbage collector keeps a few at a time.
	maxGrowth = 64 << 10
)

// TestAttackSize: no request fills memory or storage, however much is in it or however large a thing it asks for.
func TestAttackSize(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, ownVault(t), w, field("ttl", "5m")) // whose memory is measured
	m.write(t, "roles/mine", nil)
	v := newVictim(t, m, w)
	attacker := m.clientWith(t, `path "`+m.path+`/*" { capabilities = ["create", "read", "update", "patch", "list", "delete"] }`)
	pid := m.onePluginProcess(t)
	v.issues(t)
	before := residentKiB(t, pid)

	refused := func(name, method, path, body, says string) {
		v.glance(t, name, func(t *testing.T) {
			r := rawRequest{method: method, path: path, body: body}
			if method == http.MethodPatch {
				r.header = patchHeader
			}
			status, answer := v.send(t, attacker, r)
			if status != http.StatusBadRequest && (says != "" || status < 400) {
				t.Errorf("status %d, want 400: %.500s", status, answer)
			}
			if !strings.Contains(answer, says) || len(answer) > maxAnswer {
				t.Errorf("want a short answer that holds %q, got %d bytes: %.500s", says, len(answer), answer)
			}
		})
	}
	text := strings.Repeat("a", large)
	for path, fields := range map[string][]string{
		"config": {
			"base_url", "client_id", "client_secret", "customer_id", "user_id", "key", "api_version", "ca_cert", "ttl", "max_ttl", "jwt_ttl", "session_ttl",
			"request_timeout", "max_retries", "share_session", "allow_custom_host", "verify_connection",
		},
		"roles/new":         {"user_id", "key", "description", "ttl", "max_ttl", "share_session"},
		"keys/new/generate": {"common_name", "certificate_ttl", "key_bits"},
		"keys/new/import":   {"private_key", "common_name", "certificate_ttl"},
		"check":             {"role", "key"},
	} {
		for _, name := range fields {
			refused(path+" "+name+" of 900 KiB", http.MethodPut, path, mustJSON(t, field(name, text)), name)
			// Vault itself refuses this, in one way or another.
			refused(path+" "+name+" of 2 MiB", http.MethodPut, path, mustJSON(t, field(name, strings.Repeat("a", 2<<20))), "")
			refused(path+" "+name+" nested", http.MethodPut, path, `{"`+name+`":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}`, name)
			refused(path+" "+name+" nested deeply", http.MethodPut, path, `{"`+name+`":`+strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000)+`}`, "")
		}
	}
	for _, name := range []string{"ttl", "max_ttl", "jwt_ttl", "session_ttl", "request_timeout"} {
		for _, value := range []string{
			"1e300", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e19", `"9223372036854775807s"`, `"9223372036854775808"`, `"2562047h48m"`,
			`"99999999999999999999999999h"`, `"1e300h"`, "315360001", `"Infinity"`, `"NaN"`, "1" + strings.Repeat("0", 300),
		} {
			refused(fmt.Sprintf("config %s=%.30s", name, value), http.MethodPatch, "config", `{"`+name+`":`+value+`}`, name)
		}
	}
	for _, value := range []string{"1e300", "9223372036854775807", "99999999999999999999", "-1", "0", "1", "16384", "65536", "2047.5", `"2048 "`, `"2049"`} {
		refused("key_bits="+value, http.MethodPut, "keys/new/generate", `{"key_bits":`+value+`}`, "key_bits")
		if value != "0" && value != "1" {
			refused("max_retries="+value, http.MethodPatch, "config", `{"max_retries":`+value+`}`, "max_retries")
		}
	}
	for _, value := range []string{"1e300", "9223372036854775807", "9223372036854775808s", strings.Repeat("9", 5000)} {
		refused("token ttl="+value[:5], http.MethodGet, "token?ttl="+value, "", "ttl")
		refused("role's token ttl="+value[:5], http.MethodGet, "token/mine?ttl="+value, "", "ttl")
	}
	for _, bits := range []int{8194, 16_384, 65_536, 80_000} { // the last fills the 64 KiB
		refused(fmt.Sprintf("a key of %d bits", bits), http.MethodPut, "keys/new/import", mustJSON(t, field("private_key", forgedKey(t, bits))), "private_key")
	}
	authorities := strings.Repeat(w.CACert(), large/len(w.CACert())) // more than a thousand
	refused("a thousand CAs", http.MethodPatch, "config", mustJSON(t, map[string]any{"ca_cert": authorities, "client_secret": w.App.ClientSecret}), "ca_cert")
	for _, path := range []string{"roles/", "keys/", "token/", "sessions/"} {
		// Longer ones cost Vault itself seconds (5 s for 100 kB, on any path of any engine), and the plugin no more than these.
		for name, segment := range map[string]string{"64 bytes": strings.Repeat("a", 64), "500 bytes": strings.Repeat("a", 500), "10 kB": strings.Repeat("a", 10_000)} {
			refused(path+" "+name, http.MethodGet, path+segment, "", "63")
		}
		refused(path+" of 2 MiB", http.MethodGet, path+strings.Repeat("a", 2<<20), "", "")
		refused(path+" of many segments", http.MethodGet, path+strings.Repeat("a/", 5000), "", "")
	}
	unknown := make(map[string]any)
	for i := range 100_000 {
		unknown["f"+strconv.Itoa(i)] = i
	}
	// Of itself no field that is not known does harm: it is ignored, and what comes back is a warning at most.
	v.glance(t, "100,000 unknown fields", func(t *testing.T) {
		body := mustJSON(t, unknown)
		if _, answer := v.send(t, attacker, rawRequest{method: http.MethodPut, path: "config", body: body}); len(answer) > len(body) {
			t.Errorf("%d bytes are answered with %d", len(body), len(answer))
		}
	})
	v.issues(t)
	if got := m.onePluginProcess(t); got != pid {
		t.Error("the plugin was started again")
	}
	after := residentKiB(t, pid)
	measured("resident memory of the plugin before and after the attacks on it: %d MiB, %d MiB", before>>10, after>>10)
	if after-before > maxGrowth {
		t.Errorf("the plugin grew from %d KiB to %d KiB", before, after)
	}
}

// residentKiB is the memory of a process that is not swapped out.
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// forgedKey makes a private key of so many bits in a moment: its factors are no primes, but its numbers fit together.
// It is no secret; if it came out, the search at the end would know it by its beginning.
func forgedKey(t *testing.T, bits int) string {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	factor := func() *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, uint(bits/2)))
		if err != nil {
			t.Fatal(err)
		}
		n.SetBit(n, 0, 1).SetBit(n, bits/2-1, 1).SetBit(n, bits/2-2, 1)
		return n
	}
	for {
		p, q := factor(), factor()
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		d, inverse := new(big.Int).ModInverse(e, new(big.Int).Mul(p1, q1)), new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		der, err := asn1.Marshal(struct { // RFC 8017, A.1.2
			Version, N, E, D, P, Q, DP, DQ, Inverse any
		}{0, new(big.Int).Mul(p, q), e, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), inverse})
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
}
