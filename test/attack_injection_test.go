//go:build e2e

package test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// forged begins the line, header or command that the injections below would add.
const forged = "X-Forged:"

// breaks are characters that end a line or move a cursor somewhere: HTTP's, a log's or a terminal's.
var breaks = map[string]string{
	"CR LF": "\r\n", "LF": "\n", "CR": "\r", "null": "\x00", "tab": "\t", "vertical tab": "\v", "form feed": "\f", "escape": "\x1b[2J", "backspace": "\b", "delete": "\x7f",
	"next line": "\u0085", "C1 escape": "\u009b2J", "line separator": "\u2028", "paragraph separator": "\u2029", "right-to-left override": "\u202e",
	"isolate": "\u2066",
}

// TestAttackInjection: no field takes what would end a header, a line of the log or of the terminal.
func TestAttackInjection(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	m.write(t, "roles/mine", nil)
	v := newVictim(t, m, w)
	attacker := m.clientWith(t, `path "`+m.path+`/*" { capabilities = ["create", "read", "update", "patch"] }`)
	for name, text := range breaks {
		for _, c := range []struct{ path, field, value string }{
			{"config", "base_url", "https://acme.my.workfront.com" + text + forged},
			{"config", "client_id", w.App.ClientID + text + forged},
			{"config", "client_secret", canaryMark + text + forged},
			{"config", "customer_id", w.App.CustomerID + text + forged},
			{"config", "user_id", w.User.ID + text + forged},
			{"config", "key", "default" + text + forged},
			{"config", "api_version", "v22.0" + text + forged},
			{"config", "ttl", "5m" + text + forged},
			{"config", "allow_custom_host", "true" + text + forged},
			{"config", "ca_cert", text + forged},
			{"roles/mine", "user_id", w.User.ID + text + forged},
			{"roles/mine", "key", "default" + text + forged},
			{"roles/mine", "description", "a" + text + forged},
			{"roles/new", "description", "a" + text + forged},
			{"keys/new/generate", "common_name", "a" + text + forged},
			{"keys/new/import", "private_key", text + forged},
			{"check", "role", "mine" + text + forged},
			{"check", "key", "default" + text + forged},
		} {
			v.glance(t, c.path+" "+c.field+" "+name, func(t *testing.T) {
				_, err := attacker.Logical().Write(m.path+"/"+c.path, field(c.field, c.value))
				wantError(t, err, http.StatusBadRequest, c.field)
			})
		}
		for _, path := range []string{"roles/a", "keys/a", "token/a", "sessions/a"} {
			v.glance(t, path+" "+name, func(t *testing.T) {
				status, answer := v.send(t, attacker, rawRequest{method: http.MethodGet, path: path + url.PathEscape(text+forged)})
				if head, _, _ := strings.Cut(answer, "\r\n\r\n"); status < 400 || strings.Contains(head, forged) {
					t.Errorf("status %d: %s", status, answer)
				}
			})
		}
	}
	for _, version := range []string{
		"v22.0/../../../evil", "v22.0/user/x?", "v22.0?sessionID=x", "v22.0#", "v22.0%2f..", "v22.0%0d%0a", "v22.0 HTTP/1.1", "v22.0@evil.example", "v22", "22.0", "V22.0",
		"v1.0.0", "v9999.0", "v22.000", "v-1.0", "\uff5622.0", "v\uff12\uff12.0", "v22.0\u200b", "../v22.0", "/v22.0", "//evil.example/v22.0", "https://evil.example/v22.0", "unsupported",
	} {
		v.change(t, attacker, "api_version "+version, "api_version", field("api_version", version))
	}
	v.issues(t)
	v.wantNoForgedLine(t, forged)
}

// TestAttackOnTheWire sets whatever is printable, which IDs may be, and looks at the very bytes that go out: it is all in its
// place, encoded, and adds no header, path, query or form field.
func TestAttackOnTheWire(t *testing.T) {
	t.Parallel()
	m := enable(t, sharedVault(t), uniqueName(t))
	m.write(t, "keys/default/generate", nil)
	const madeUp = canaryMark + "made-up"
	const nasty = `../../logout?a=b&c=d#e;%0d%0a%2e%2e/\"'<>{}@:= x`
	for name, id := range map[string]string{
		"all": nasty, "dots": "..", "slash": "/", "up": "../../../evil", "query": "x?sessionID=y", "encoded": "%2e%2e%2f", "form": "x&client_secret=y&jwt_token=z",
		"header": "x%0d%0a" + forged + " 1", "absolute": "https://evil.example/", "two slashes": "//evil.example", "unicode": "\u00e9\uff0f\u65e5", "plus": "a+b c",
	} {
		t.Run(name, func(t *testing.T) {
			attacks.tried.Add(1)
			l := listen(t)
			m.write(t, "config", map[string]any{
				"base_url": l.url, "ca_cert": l.caCert, "allow_custom_host": true, "client_id": id, "client_secret": madeUp + id, "customer_id": "c" + id, "user_id": id,
			})
			m.write(t, "check", nil)
			user := "GET /attask/api/v22.0/user/" + url.PathEscape(id)
			want := []string{
				"HEAD /", "POST /integrations/oauth2/api/v1/jwt/exchange", user, "GET /attask/api/v22.0/session",
				"GET /attask/api/v22.0/logout", user,
			}
			var got []string
			for sent := bufio.NewReader(bytes.NewReader(l.text())); ; {
				r, err := http.ReadRequest(sent)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal("what was sent is no HTTP")
				}
				got = append(got, r.Method+" "+r.RequestURI)
				allowed := []string{"User-Agent", "Content-Type", "Content-Length", "Accept", "Accept-Encoding", "Connection"}
				if r.Header.Get("SessionID") != "" {
					allowed = append(allowed, "Sessionid", "Cache-Control")
					if got := r.Header.Values("Cache-Control"); !slices.Equal(got, []string{"no-cache, no-store"}) {
						t.Errorf("%s has a session, and Cache-Control %q, want no-cache, no-store", r.RequestURI, got)
					}
				}
				for header := range r.Header {
					if !slices.Contains(allowed, header) {
						t.Errorf("%s has a header %q", r.RequestURI, header)
					}
				}
				if "https://"+r.Host != l.url {
					t.Errorf("%s is for the host %s", r.RequestURI, r.Host)
				}
				body, _ := io.ReadAll(r.Body)
				form, err := url.ParseQuery(string(body))
				if len(body) > 0 && (err != nil || len(form) != 3 || form.Get("client_id") != id || form.Get("client_secret") != madeUp+id || len(form["jwt_token"]) != 1) {
					t.Errorf("%s has a form that is not what was set", r.RequestURI)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("requests are %q, want %q", got, want)
			}
			if !t.Failed() {
				attacks.refused.Add(1)
			}
		})
	}
	m.wantNoForgedLine(t, forged)
}

// TestAttackUserID: a role writer's user_id goes into the signed JWT and into one path, and leads to nobody's session but
// that user's, who must have added the key.
func TestAttackUserID(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, field("ttl", "5m"))
	other := workfronttest.User{ID: workfronttest.NewID(), Name: "Other", EmailAddr: "other@example.com"}
	if err := w.AddUser(other); err != nil {
		t.Fatal(err)
	}
	attacker := m.clientWith(t, `
path "`+m.path+`/roles/mine" { capabilities = ["create", "update"] }
path "`+m.path+`/token/mine" { capabilities = ["read"] }
`)
	for _, id := range []string{
		other.ID, strings.ToUpper(w.User.ID), w.User.ID + `","sub":"` + other.ID, w.User.ID + "," + other.ID, "../" + other.ID, w.User.ID + "/../" + other.ID,
		"$$USER.ID", "*", "null", "0", other.EmailAddr,
	} {
		t.Run(id, func(t *testing.T) {
			attacks.tried.Add(1)
			if _, err := attacker.Logical().Write(m.path+"/roles/mine", field("user_id", id)); err != nil {
				t.Fatal(err)
			}
			_, err := attacker.Logical().Read(m.path + "/token/mine")
			wantError(t, err, http.StatusBadRequest, "refused")
			if n := w.Stats().Started; n != 0 {
				t.Errorf("%d sessions were started", n)
			}
			if !t.Failed() {
				attacks.refused.Add(1)
			}
		})
	}
	m.revoke(t, m.token(t, ""))
}
