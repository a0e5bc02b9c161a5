//go:build e2e

package test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// waysOut are put between one name and another, to lead from the one to the other.
var waysOut = []string{
	"/../", "%2f..%2f", "%2F..%2F", "/..%2f", "%2f../", "%2F%2E%2E%2F", "/%2e%2e/", "/.%2e/", "/%2e./", "%252f..%252f", "%252F%252E%252E%252F", "//..//",
	"/./../", "/.//../", `\..\`, "%5c..%5c", "%5C%2E%2E%5C", "%00/../", "%00", "%0a", "%0d%0a", "%09/../", ";/../", "/..;/", "%3f/../", "%23/../", "%20/../",
	"%c0%af..%c0%af", "%e0%80%af..%e0%80%af", "%uff0f..%uff0f", "%u002f..%u002f", "%ef%bc%8f..%ef%bc%8f", "%e2%81%84..%e2%81%84", "%e2%88%95..%e2%88%95",
	"/%ef%bc%8e%ef%bc%8e/", "/%e2%80%a5/", "%ff/../", "%", "%2", "?/../", "#/../", "/", "//", "%2f", "%2f%2f", "&role=", "?role=", "?name=", "?id=",
}

// spellings are another's name as a Vault that compares too kindly would read it.
var spellings = []string{
	"%6f%74%68%65%72", "OTHER", "Other", "other/", "other//", "other%2f", "other%20", "%20other", "other%00", "other%0a", "other.", ".other", "./other", ".%2fother",
	"/other", "//other", "%2fother", "other?list=true", "other?help=1", "other;a=b", "o%CD%8Fther", "oth%D0%B5r", "%EF%BD%8Fther", "other%E2%80%8B", "+", "*",
	"%2a", "..", "%2e%2e", ".", "%2e", "-", "oth*", "oth%2a", "{other}", "%7b%7bother%7d%7d", "other,mine", "mine,other", "mine%2cother", "mine|other",
}

// A pair is a victim with two roles: mine, which the attacker may use, and other.
type pair struct {
	*victim
	certificate string // a line of the certificate of its key
	followed    int    // how many redirects were followed
}

// wantOutcome checks the outcome of a path that should lead nowhere: no session but of the role mine, and no other object.
// Vault answers a path that is not clean with a redirect to the clean one, which a client may follow.
func (v *pair) wantOutcome(t *testing.T, attacker *api.Client, r rawRequest) {
	t.Helper()
	answer := v.try(t, attacker, r)
	if to := redirect.FindStringSubmatch(answer); to != nil {
		v.followed++
		r.path, r.outside = to[1], true
		if answer := v.try(t, attacker, r); !strings.HasPrefix(answer, "HTTP/1.1 4") {
			t.Errorf("the redirect to %s leads somewhere: %s", r.path, answer)
		}
	}
}

// redirect finds the path in an answer of Vault's that is a redirect.
var redirect = regexp.MustCompile(`(?m)^Location: /v1/(.*)\r$`)

// wantRedirects tells whether wantOutcome had any to follow.
func (v *pair) wantRedirects(t *testing.T) {
	t.Helper()
	if v.followed == 0 {
		t.Error("Vault redirected nothing, so the clean paths were not tried")
	}
}

// try sends one request and checks its outcome.
func (v *pair) try(t *testing.T, attacker *api.Client, r rawRequest) (answer string) {
	t.Helper()
	before := v.w.Stats().Started
	status, answer := v.send(t, attacker, r)
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	if strings.Contains(body, "marked-other") || strings.Contains(body, `"customer_id":"`) || strings.Contains(body, v.certificate) {
		t.Errorf("status %d, and what is not the attacker's is read", status)
	}
	if started := v.w.Stats().Started - before; started > 0 && (status != http.StatusOK || !strings.Contains(body, `"role":"mine"`)) {
		t.Errorf("status %d, and %d sessions that are not of the role mine", status, started)
	}
	if strings.Contains(body, `"role":"other"`) || strings.Contains(body, `"access_token":"`) && !strings.Contains(body, `"role":"mine"`) {
		t.Errorf("status %d, and a session that is not of the role mine", status)
	}
	if status >= 500 && !strings.Contains(body, "parent references") && !strings.Contains(body, "invalid") {
		t.Errorf("status %d: %s", status, body)
	}
	if v.w.Stats().Alive > 0 {
		v.revokeAll(t)
	}
	return answer
}

func newPair(t *testing.T) *pair {
	t.Helper()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "5m"})
	for _, name := range []string{"mine", "other"} {
		m.write(t, "roles/"+name, field("description", "marked-"+name))
	}
	return &pair{victim: newVictim(t, m, w), certificate: strings.Split(opensslKey(t).certificate, "\n")[5]}
}

// TestAttackTokenPath: a policy for token/mine opens no other role, and nothing else. See also TestStoryRolePolicy.
func TestAttackTokenPath(t *testing.T) {
	t.Parallel()
	v := newPair(t)
	exact := v.clientWith(t, `path "`+v.path+`/token/mine" { capabilities = ["create", "update", "read", "delete", "list", "patch"] }`)
	// This policy lets Vault pass on whatever begins so: the plugin is what stands between.
	begins := v.clientWith(t, `path "`+v.path+`/token/mine*" { capabilities = ["create", "update", "read", "delete", "list", "patch"] }`)
	for name, attacker := range map[string]*api.Client{"exact": exact, "glob": begins} {
		for _, out := range waysOut {
			for _, target := range []string{"other", "../config", "../token", "../keys/default", "../roles/other"} {
				if target != "other" && !strings.Contains(out, "..") {
					continue
				}
				path := "token/mine" + out + target
				v.glance(t, name+" "+path, func(t *testing.T) { v.wantOutcome(t, attacker, rawRequest{method: http.MethodGet, path: path}) })
			}
		}
		for _, spelling := range spellings {
			v.glance(t, name+" "+spelling, func(t *testing.T) {
				v.wantOutcome(t, attacker, rawRequest{method: http.MethodGet, path: "token/" + spelling})
			})
		}
		for _, method := range []string{"PUT", "POST", "PATCH", "DELETE", "LIST", "HEAD", "OPTIONS", "SCAN", "TRACE", "get"} {
			r := rawRequest{method: method, path: "token/mine", body: `{"role":"other","name":"other"}`}
			if method == "PATCH" {
				r.header = patchHeader
			}
			v.glance(t, name+" "+method, func(t *testing.T) { v.wantOutcome(t, attacker, r) })
		}
		for header, value := range map[string]string{
			"X-Vault-Namespace": "other/", "X-Original-URL": "/v1/" + v.path + "/token/other", "X-Rewrite-URL": "/v1/" + v.path + "/token/other",
			"X-HTTP-Method-Override": "LIST", "X-Forwarded-Prefix": "/v1/" + v.path + "/token/other", "X-Vault-Policy-Override": "true",
		} {
			v.glance(t, name+" "+header, func(t *testing.T) {
				v.wantOutcome(t, attacker, rawRequest{method: http.MethodGet, path: "token/mine", header: http.Header{header: {value}}})
			})
		}
	}
	v.issues(t)
	v.wantRedirects(t)
}

// TestAttackNames: anyone who can manage one role, look at one key and one session, or all of those, gets no further by a name.
func TestAttackNames(t *testing.T) {
	t.Parallel()
	v := newPair(t)
	mine := v.clientWith(t, `
path "`+v.path+`/roles/mine*" { capabilities = ["create", "update", "read", "delete", "list", "patch"] }
path "`+v.path+`/keys/mine*" { capabilities = ["create", "update", "read", "delete", "list"] }
path "`+v.path+`/sessions/mine*" { capabilities = ["read", "delete", "list"] }
`)
	for _, out := range waysOut {
		for _, folder := range []string{"roles/", "keys/", "sessions/"} {
			for _, target := range []string{"other", "../config"} {
				path := folder + "mine" + out + target
				methods := []string{http.MethodGet, http.MethodDelete}
				if folder == "roles/" {
					methods = append(methods, http.MethodPatch)
				}
				for _, method := range methods {
					r := rawRequest{method: method, path: path}
					if method == http.MethodPatch {
						r.body, r.header = `{"description":"marked-attacker"}`, patchHeader
					}
					v.glance(t, method+" "+path, func(t *testing.T) {
						v.wantOutcome(t, mine, r)
						v.write(t, "roles/mine", field("description", "marked-mine"))
						if got := v.read(t, "roles/other")["description"]; got != "marked-other" {
							t.Errorf("the other role says %v", got)
						}
					})
				}
			}
		}
	}
	v.issues(t)
	v.wantRedirects(t)
	// The name in the path counts, not one in the body.
	for _, r := range []rawRequest{
		{method: http.MethodPut, path: "roles/mine", body: `{"name":"other","description":"marked-mine"}`},
		{method: http.MethodPatch, path: "roles/mine", body: `{"name":"other","description":"marked-mine"}`, header: patchHeader},
		{method: http.MethodPut, path: "keys/mine/generate", body: `{"name":"other"}`},
		{method: http.MethodDelete, path: "keys/mine", body: `{"name":"default"}`},
		{method: http.MethodDelete, path: "sessions/mine", body: `{"id":"other"}`},
	} {
		v.glance(t, r.method+" "+r.path+" with another name in the body", func(t *testing.T) {
			v.wantOutcome(t, mine, r)
			if got := v.read(t, "roles/other")["description"]; got != "marked-other" {
				t.Errorf("the other role says %v", got)
			}
			if slices.Contains(v.list(t, "keys/"), "other") {
				t.Error("a key has the name in the body")
			}
			v.delete(t, "keys/mine")
		})
	}
	// No name that a policy could not tell from another can be given at all.
	all := v.clientWith(t, fmt.Sprintf(`path "%s/roles/*" { capabilities = ["create", "update"] }
path "%s/keys/*" { capabilities = ["create", "update"] }`, v.path, v.path))
	for _, name := range []string{
		"a..b", "..a", "a.", ".a", "a%2fb", "a/b", "a%5cb", "a%20b", "%20a", "a%00b", "a%0ab", "a%0d%0ab", "a%2ab", "a%3fb", "a%23b", "a%25b", "a%2bb", "a%3ab",
		"a%D0%B5", "%EF%BD%81", "a%E2%80%8Bb", "a%E2%80%AEb", "a%C2%85b", "a%7fb", "a%1bb", "a%22b", "a%27b", "a%3cb", "a%24%7bb%7d", "a;b", "a,b", "a=b", "a|b", "a~b", "a!b",
	} {
		for _, path := range []string{"roles/" + name, "keys/" + name + "/generate"} {
			v.glance(t, "make "+path, func(t *testing.T) {
				if status, answer := v.send(t, all, rawRequest{method: http.MethodPut, path: path}); status < 300 {
					t.Errorf("status %d: %s", status, answer)
				}
			})
		}
	}
}
