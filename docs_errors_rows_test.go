package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/session"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// errorSections are the rows of docs/errors.md. A text that has no row fails the test; see errorsWithoutRow.
func errorSections(t *testing.T) []errorSection {
	t.Helper()
	return []errorSection{
		{"Any path", "Input that cannot be read as what the field is.", anyPathErrors()},
		{"config and roles", "Nothing is stored in part.", settingsErrors()},
		{"base_url", "Where the client secret is sent.", baseURLErrors()},
		{"Keys", "`private_key`, `certificate` and `ca_cert` are taken in [many forms](keys.md#accepted-forms).", keyErrors(t)},
		{"Reading a token", "What is missing, refused, or has no room now.", tokenErrors()},
		{
			"Reaching Workfront", "The same texts appear in the log, in `check`, and behind `not stored, because …`. See also [network](network.md).",
			workfrontErrors(),
		},
		{"Leases and logouts", "Vault puts `failed to renew entry:` in front of a failed renewal.", leaseErrors()},
		{"Storage", "An entry that cannot be read stops nobody who does not need it. See [damaged entries](backup.md#damaged-entries).", storageErrors()},
	}
}

func anyPathErrors() []errorRow {
	long := func(n int) string { return strings.Repeat("x", n) }
	return []errorRow{
		{sets("client_id", []any{"a"}), "Send a string."},
		{sets("max_retries", "many"), "Send a number without a unit."},
		{sets("allow_custom_host", "perhaps"), "Send `true` or `false`."},
		{
			sets("ttl", "soon"),
			"`vault patch … ttl=null` sends the text `null`; send JSON: `echo '{\"ttl\": null}' \\| vault " +
				"patch workfront/config -`.",
		},
		{sets("ttl", "-5m"), "To reset it, patch it with `null`."},
		{sets("ttl", "500ms"), "Round it up: Vault counts in seconds."},
		{sets("ttl", 1.5), "Send a whole number."},
		{sets("ttl", "100000h"), "Check the unit."},
		{sets("ttl", nil), "Use a patch, or leave the field out."},
		{sends(opWrite, "keys/a..b/generate", nil), "Use another name. An e-mail address fits."},
		{sends(opWrite, "roles/"+long(64), nil), "Use a shorter name."},
		{sets("client_id", long(257)), "Copy the value again. IDs have 32 characters."},
	}
}

func settingsErrors() []errorRow {
	verifies := sends(opWrite, "config", map[string]any{"verify_connection": true})
	return []errorRow{
		{
			after(func(m *mount, _ *standIn) { m.must(opDelete, "config", nil) }, sets("client_id", "c")),
			"The first write needs `base_url`, `client_id`, `client_secret` and `customer_id`.",
		},
		{sets("client_secret", ""), "Leave the field out to keep its value."},
		{sets("client_secret", "secret\n"), "`printf %s` instead of `echo` writes a file without a line break."},
		{sets("customer_id", "a\u200bb"), "The value was copied with its formatting."},
		{sets("client_secret", "a\uFFFDb"), "The file or terminal was not UTF-8."},
		{sends(opWrite, "roles/r", map[string]any{"description": "a\nb"}), "Put the text on one line."},
		{sets("client_id", " abc"), "Copy the value again."},
		{sets("key", "a/b"), "The name of a key, without `keys/`."},
		{sets("jwt_ttl", "11m"), "Choose a value in that range."},
		{sets("max_retries", 6), "Choose a value in that range."},
		{sets("api_version", "22.0"), "The `v` belongs to it."},
		{
			sends(opWrite, "config", map[string]any{"ttl": "2h", "max_ttl": "1h"}),
			"Raise `max_ttl`, or lower `ttl`, in the same request.",
		},
		{
			sends(opWrite, "config", map[string]any{"jwt_ttl": "30s", "request_timeout": "31s"}),
			"Raise `jwt_ttl`, or lower `request_timeout`.",
		},
		{
			sets("base_url", "https://other.my.workfront.com"),
			"`base_url`, `ca_cert` and `allow_custom_host` decide [where the secret may " +
				"go](configuration.md#where-the-client-secret-may-go).",
		},
		{
			after(func(m *mount, _ *standIn) { m.must(opDelete, "config", nil) }, sends(opPatch, "config", map[string]any{"ttl": "5m"})),
			"A patch changes what there is.",
		},
		{sends(opPatch, "roles/none", map[string]any{"ttl": "5m"}), "Check the name: `vault list workfront/roles`."},
		{
			after(func(m *mount, w *standIn) { m.write("config", map[string]any{"customer_id": workfronttest.NewID()}) }, verifies),
			"Nothing was changed. [`check`](check.md) says more.",
		},
		{
			after(func(m *mount, _ *standIn) { m.write("config", map[string]any{"user_id": ""}) }, verifies),
			"`verify_connection` needs a `user_id` and a key: set what the text names, or write without it.",
		},
		{
			after(func(m *mount, w *standIn) { m.write("config", map[string]any{"customer_id": w.App.ClientID}) }, verifies),
			"Copy the Customer ID.",
		},
		{overtakes, "Someone else writes `config` at the same time: try again."},
		{
			after(func(_ *mount, w *standIn) { unclearLogouts(w) }, verifies),
			"Nothing was changed; the logout is pending. See [the row of that text](#leases-and-logouts).",
		},
	}
}

// overtakes verifies settings while another request changes them, each time.
func overtakes(m *mount, w *standIn) (*logical.Response, error) {
	minutes := 0
	w.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			minutes++
			m.write("config", map[string]any{"max_ttl": minutes * 60})
		}
	})
	defer w.OnEvent(nil)
	return m.request(opWrite, "config", map[string]any{"verify_connection": true})
}

// moves sets base_url as someone may who knows the client secret, and with no custom host allowed.
func moves(baseURL string) errorRequest {
	return sends(opWrite, "config", map[string]any{"base_url": baseURL, "allow_custom_host": false, "ca_cert": "", "client_secret": "s"})
}

func baseURLErrors() []errorRow {
	return []errorRow{
		{moves("http://acme.my.workfront.com"), "There is no plain HTTP."},
		{moves("https://workfront.com.evil.example"), "A typo, or a gateway: then set `allow_custom_host`."},
		{moves("https://acme.my.workfront.com:8443"), "A gateway on another port needs `allow_custom_host`."},
		{moves("https://acme.my.workfront.com/attask"), "Copy only what is in front of the path."},
		{moves("https://acme.my.workfront.com?a=b"), "Copy only what is in front of the query."},
		{moves("https://me:pw@acme.my.workfront.com"), "Remove what is in front of the `@`."},
		{moves("https://"), "The domain is missing."},
		{moves("https://acme my.workfront.com"), "Look for spaces and letters that are not ASCII."},
		{moves("https://[::1"), "Check the brackets."},
		{moves("https://acme.my.workfront.com."), "Remove the last dot."},
		{moves("https://acme.my.workfront.com:"), "Remove the colon."},
		{moves("https://acme.my.workfront.com:70000"), "Check the port."},
		{moves("https://-acme.my.workfront.com"), "Check the spelling."},
		{moves("https://1.2.3"), "Write all four numbers of an IPv4 address."},
		{moves("https://[fe80::1%25eth0]"), "A zone is only valid on one machine."},
	}
}

func keyErrors(t *testing.T) []errorRow {
	t.Helper()
	private, certificate := testKeyPEM(t), testKey().CertificatePEM()
	otherPrivate, err := otherKey().PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	otherPublic, err := otherKey().PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := tempFile(t, private)
	small := openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
	encrypted := openssl(t, "pkcs8", "-topk8", "-in", keyFile, "-passout", "pass:x")
	negative := openssl(t, "req", "-x509", "-key", keyFile, "-subj", "/CN=x", "-set_serial", "-5")
	second := openssl(t, "req", "-x509", "-key", keyFile, "-subj", "/CN=second")
	request := openssl(t, "req", "-new", "-key", keyFile, "-subj", "/CN=x")
	openSSH := pemBlock("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00"))
	imports := func(key, cert string) errorRequest {
		data := map[string]any{settings.FieldPrivateKey: key}
		if cert != "" {
			data[settings.FieldCertificate] = cert
		}
		return sends(opWrite, "keys/k/import", data)
	}
	return []errorRow{
		{sends(opWrite, "keys/default/generate", nil), "Choose a new name, and [rotate](rotation.md) to it."},
		{
			after(stored("keys/bad", "damaged"), sends(opWrite, "keys/bad/generate", nil)),
			"Run the command that deletes it, or choose a new name.",
		},
		{sends(opDelete, "keys/default", nil), "Set another key in what the text names first."},
		{
			after(stored("roles/bad", "damaged"), after(func(m *mount, _ *standIn) { m.write("keys/spare/generate", nil) }, sends(opDelete, "keys/spare", nil))),
			"Mend or delete the role first.",
		},
		{generates("key_bits", 1024), "2048 is the default."},
		{generates("certificate_ttl", "59m"), "Choose a value in that range."},
		{imports("", ""), "Pass the text of the file: `private_key=@private.key`."},
		{imports("private.key", ""), "Pass the text of the file, not its name."},
		{
			imports(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(testKey().Private))[:400], ""),
			"Part of the file is missing.",
		},
		{imports(strings.Repeat("x", 64<<10+1), ""), "Remove the rest of the file, such as a bundle of CAs."},
		{imports(encrypted, ""), "Run the command that the text names."},
		{
			imports(openSSH, ""),
			"Run the command that the text names, and give the file that it writes. PKCS#12, PuTTY and " +
				"others have commands of their own.",
		},
		{imports(pkcs8(t, ec), ""), "Workfront takes RSA keys only."},
		{imports(small, ""), "Generate a key of 2048 bits or more."},
		{imports(certificate, ""), "Give the other file of the pair."},
		{imports(private[:300], ""), "Part of the file is missing: copy it again."},
		{
			imports(pemBlock("RSA PRIVATE KEY", []byte("nonsense")), ""),
			"The file was changed on its way: copy it again.",
		},
		{imports(private+otherPrivate, ""), "Give the one whose certificate is registered in Workfront."},
		{imports(private+otherPublic, ""), "Remove the public key."},
		{
			imports(private+otherKey().CertificatePEM(), ""),
			"The chain lacks the key's own certificate, or it is the wrong one.",
		},
		{imports(private, otherKey().CertificatePEM()), "Two files that do not match: give the right one, or none."},
		{imports(private, private), "Give the other file of the pair."},
		{imports(private, request), "Give what the CA returned for the request."},
		{imports(private, certificate+second), "Compare their fingerprints with Workfront's."},
		{
			imports(private, negative),
			"For a key of your own: `openssl req -x509 -sha256 -key private.key -out certificate_pub.crt`.",
		},
		{
			imports(private, pemBlock("CERTIFICATE", x509.MarshalPKCS1PrivateKey(testKey().Private))),
			"The label is not what is in it: copy the file again.",
		},
		{
			imports(private, pemBlock("CERTIFICATE", []byte("nonsense"))),
			"The file was changed on its way: copy it again.",
		},
		{
			sends(opWrite, "keys/k/import", map[string]any{
				settings.FieldPrivateKey:  private,
				settings.FieldCertificate: certificate,
				settings.FieldCommonName:  "x",
			}),
			"A certificate that is given keeps its name and dates.",
		},
		{sets("ca_cert", "nonsense"), "Pass the text of the file: `ca_cert=@ca.pem`."},
		{sets("ca_cert", private), "Give the certificate of the CA alone."},
		{sets("ca_cert", pemBlock("PKCS7", []byte("x"))), "Run the command that the text names."},
		{sets("ca_cert", certificate+negative), "Leave that CA out, or have it reissued."},
		{sets("ca_cert", strings.Repeat("x", 64<<10+1)), "One root is enough."},
		{generatesTwice, "Wait, and try again."},
	}
}

// generatesTwice generates a key while another one is being generated.
func generatesTwice(m *mount, _ *standIn) (*logical.Response, error) {
	finish := m.startGenerating()
	resp, err := m.request(opWrite, "keys/second/generate", nil)
	return resp, errors.Join(err, finish())
}

func tokenErrors() []errorRow {
	token := sends(opRead, "token", nil)
	return []errorRow{
		{
			after(func(m *mount, _ *standIn) { m.must(opDelete, "config", nil) }, token),
			"Run the command that the text names.",
		},
		{
			after(func(m *mount, _ *standIn) { m.write("config", map[string]any{"user_id": ""}) }, token),
			"The ID is in the URL of the user's [profile page](workfront.md#choose-the-user).",
		},
		{
			after(func(m *mount, _ *standIn) { m.write("config", map[string]any{"key": "2027"}) }, token),
			"Generate the key and upload its certificate, or correct `key`.",
		},
		{sends(opRead, "token/reports", nil), "A typo, or the role was deleted."},
		{sends(opRead, "token", map[string]any{"ttl": "0"}), "Leave `ttl` out for the configured TTL."},
		{
			after(func(m *mount, _ *standIn) { m.system.DefaultLeaseTTLVal = 0 }, token),
			"A call from the plugin to Vault failed. Read again, or set `ttl`.",
		},
		{
			after(func(m *mount, _ *standIn) { m.write("config", map[string]any{"customer_id": workfronttest.NewID()}) }, token),
			"Run `check`, and compare each. Most often: Client ID in place of Customer ID, or the " +
				"administrator added the certificate and not that user. Or the certificate was deleted, or " +
				"Vault's clock is off.",
		},
		{
			after(func(_ *mount, w *standIn) { w.expiresIn("1") }, token),
			"Read again: Workfront returned an old session.",
		},
		{
			waitsInVain,
			"[Share the session](roles-and-sharing.md#shared-sessions), or raise " +
				"[`max_connections`](configuration.md#request_timeout-and-max_connections).",
		},
		{readsAfterRetryAfter, "Share the session; lower `max_connections` of this and other integrations."},
		{
			after(func(m *mount, _ *standIn) { m.backend.Cleanup(m.t.Context()) }, token),
			"A reload or step-down: try again.",
		},
		{outOfTimeRequest("config"), "Raise Vault's `max_request_duration` above `request_timeout`."},
		{
			slowStorage("sessions/" + strings.Repeat("0", 32)),
			"Try again. A call to Vault's storage may take five seconds: check its backend. The same for " +
				"`write`, `delete` and `list`, and for another call that works on the session.",
		},
	}
}

// waitsInVain reads a token while the slots are taken.
func waitsInVain(m *mount, w *standIn) (*logical.Response, error) {
	m.write("config", map[string]any{"max_connections": 4, "request_timeout": "60s"})
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Hang: workfronttest.HangBeforeHandling})
	sent, done := make(chan struct{}, 3), make(chan struct{})
	w.OnEvent(func(e workfronttest.Event) {
		if e.Kind == workfronttest.ExchangeReceived {
			sent <- struct{}{}
		}
	})
	for range 3 { // a quarter is for logouts
		go func() {
			_, _ = m.request(opRead, "token", nil)
			done <- struct{}{}
		}()
	}
	for range 3 {
		<-sent
	}
	w.OnEvent(nil)
	m.write("config", map[string]any{"request_timeout": "1s"})
	resp, err := m.request(opRead, "token", nil)
	w.ClearFaults()
	for range 3 {
		<-done
	}
	return resp, err
}

// readsAfterRetryAfter reads a token when Workfront has just asked for a pause.
func readsAfterRetryAfter(m *mount, w *standIn) (*logical.Response, error) {
	m.write("config", map[string]any{"max_retries": 0})
	w.Inject(workfronttest.Fault{
		Endpoint: workfronttest.EndpointExchange, Times: 1, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}},
	})
	_, _ = m.request(opRead, "token", nil)
	m.write("config", map[string]any{"request_timeout": "1s"})
	return m.request(opRead, "token", nil)
}

// outOfTimeRequest reads a path when the time of the request is over.
func outOfTimeRequest(path string) errorRequest {
	return func(m *mount, _ *standIn) (*logical.Response, error) {
		ctx, cancel := context.WithDeadline(m.t.Context(), time.Now())
		defer cancel()
		return m.backend.HandleRequest(ctx, &logical.Request{
			Operation: opRead, Path: path, Storage: outOfTime(m), MountPoint: testMount,
		})
	}
}

// slowStorage reads a path of a storage that does not answer.
func slowStorage(path string) errorRequest {
	return func(m *mount, _ *standIn) (resp *logical.Response, err error) {
		synctest.Test(m.t, func(t *testing.T) {
			storage := storagetest.Over(m.storage, storagetest.Rule{On: storagetest.Get, Then: storagetest.Hang})
			resp, err = m.backend.HandleRequest(t.Context(), &logical.Request{
				Operation: opRead, Path: path, Storage: storage, MountPoint: testMount,
			})
		})
		return resp, err
	}
}

func workfrontErrors() []errorRow {
	html := func(status int) errorRequest {
		return readsToken(workfronttest.Fault{Status: status, Body: "<html>", Header: http.Header{"Content-Type": {"text/html"}}})
	}
	return []errorRow{
		{readsToken(workfronttest.Fault{Status: 404}), "Correct `base_url`."},
		{readsToken(workfronttest.Fault{Status: 307}), "A wrong domain, or a login page in between."},
		{html(200), "Look at what stands between Vault and Workfront."},
		{html(403), "The same for 407 and 451. Have it let Vault through."},
		{
			readsToken(workfronttest.Fault{Status: 429}),
			"Workfront's limit of calls, shared by all integrations: [share a " +
				"session](roles-and-sharing.md#shared-sessions), and lower `max_connections`.",
		},
		{
			readsToken(workfronttest.Fault{Status: 503}),
			"The same for 500, 502 and 504. Workfront, or a gateway in front of it, is down: look at " +
				"Workfront's status page.",
		},
		{
			readsToken(workfronttest.Fault{Body: "{}"}),
			"Something else answered, such as a gateway. Run `check` with `observe=true`.",
		},
		{
			readsToken(workfronttest.Fault{Body: `{"access_token":"a\"b"}`}),
			"Something else answered, such as a gateway. The session is logged out; if that fails, the logout is pending.",
		},
		{
			readsToken(workfronttest.Fault{Body: `{"access_token":"a b"}`}),
			"Something else answered, such as a gateway.",
		},
		{
			readsToken(workfronttest.Fault{Body: `{"access_token":"` + strings.Repeat("a", 20<<10) + `"}`}),
			"Something else answered, such as a gateway.",
		},
		{readsToken(workfronttest.Fault{Body: strings.Repeat(" ", 65<<10)}), "A page was answered instead of the API."},
		{
			readsToken(workfronttest.Fault{Hang: workfronttest.HangBeforeHandling}),
			"Check the network; raise `request_timeout`. The exchange is finished in the background.",
		},
		{
			readsToken(workfronttest.Fault{Status: 200, Body: "{", Header: http.Header{"Content-Length": {"9"}}}),
			"A gateway or firewall cut the connection off.",
		},
		{after(func(m *mount, w *standIn) {
			m.write("config", map[string]any{"max_retries": 0})
			w.Suspend()
		}, sends(opRead, "token", nil)), "The text ends in what the network said. `no such host`: check name resolution on Vault's nodes; `connection refused`: check `base_url` and the firewall."},
		{after(func(m *mount, w *standIn) {
			m.write("config", map[string]any{"ca_cert": "", "client_secret": w.App.ClientSecret})
		}, sends(opRead, "token", nil)), "Set the CA of the gateway as `ca_cert` (with `client_secret`), or install the system's CAs."},
		{
			readsFromAnotherName,
			"The certificate is for another name, or has expired; or the other side speaks TLS 1.1 or older. " +
				"Check `base_url` and what stands in between.",
		},
		{
			readsToken(workfronttest.Fault{Header: http.Header{"X-Long": {strings.Repeat("a", 65<<10)}}}),
			"Something else answered, such as a gateway.",
		},
		{withProxy("http://127.0.0.1:1", ""), "Check the [proxy](network.md#proxies)."},
		{withProxy("http//proxy", ""), "See [proxies](network.md#proxies)."},
		{withProxy("http://127.0.0.1:1", "a b"), "See [proxies](network.md#proxies)."},
		{
			throughProxy("HTTP/1.1 403 Forbidden\r\n\r\n"),
			"Have the proxy let Vault's nodes through to `base_url`, port 443.",
		},
		{throughProxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "See [proxies](network.md#proxies)."},
		{throughProxy("nonsense\r\n\r\n"), "Check the scheme and port of the proxy."},
	}
}

// readsFromAnotherName reads a token from a server whose certificate is for another name.
func readsFromAnotherName(m *mount, w *standIn) (*logical.Response, error) {
	server, err := workfronttest.Start(workfronttest.Options{TLS: workfronttest.TLSOptions{DNSNames: []string{"gateway.example.com"}}})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	m.write("config", map[string]any{"base_url": server.URL(), "ca_cert": server.CACert(), "client_secret": w.App.ClientSecret})
	return m.request(opRead, "token", nil)
}

// withProxy reads a token of a mount that was started with a proxy in its environment.
func withProxy(proxy, except string) errorRequest {
	return func(m *mount, w *standIn) (*logical.Response, error) {
		m.t.Setenv("HTTPS_PROXY", proxy)
		m.t.Setenv("NO_PROXY", except)
		m.write("config", map[string]any{
			"base_url": "https://acme.my.workfront.com", "client_secret": w.App.ClientSecret, "max_retries": 0,
		})
		m.restart()
		return m.request(opRead, "token", nil)
	}
}

// throughProxy reads a token through a proxy that answers so.
func throughProxy(answer string) errorRequest {
	return func(m *mount, w *standIn) (*logical.Response, error) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = conn.Close() }()
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						_, _ = io.WriteString(conn, answer)
					}
				}()
			}
		}()
		return withProxy("http://"+listener.Addr().String(), "")(m, w)
	}
}

// unclearLogouts has Workfront answer logouts without carrying them out.
func unclearLogouts(w *standIn) {
	b := workfronttest.DefaultBehaviour()
	b.LogoutAnswer = `{"data":{"success":false}}`
	w.SetBehaviour(b)
}

// logsOut deletes a session at a Workfront that behaves in that way.
func logsOut(behave func(*standIn)) errorRequest {
	return func(m *mount, w *standIn) (*logical.Response, error) {
		l := m.readToken(nil)
		behave(w)
		return m.request(opDelete, "sessions/"+l.data[fieldSessionID].(string), nil)
	}
}

// logsOutTwice deletes a session twice while Workfront is down.
func logsOutTwice(m *mount, w *standIn) (*logical.Response, error) {
	id := m.readToken(nil).data[fieldSessionID].(string)
	w.Suspend()
	_, _ = m.request(opDelete, "sessions/"+id, nil)
	return m.request(opDelete, "sessions/"+id, nil)
}

func leaseErrors() []errorRow {
	return []errorRow{
		{
			renews(func(m *mount, _ *lease) { m.must(opDelete, "roles/reports", nil) }),
			"Read a token of another role, or create the role again.",
		},
		{
			renews(func(m *mount, l *lease) { m.must(opDelete, "sessions/"+l.data[fieldSessionID].(string), nil) }),
			"Read a new token. The session was logged out, or Workfront does not know it any more.",
		},
		{
			renews(func(m *mount, l *lease) { m.clock.Advance(30*time.Minute - session.MinLifetime + time.Millisecond) }),
			"Read a new token. Agents should renew earlier, or read anew.",
		},
		{
			logsOut(unclearLogouts),
			"Nothing: the plugin retries. If it stays so, compare `api_version` with what your Workfront " +
				"supports.",
		},
		{
			sends(opWrite, "sessions/lookup", map[string]any{fieldAccessToken: "x"}),
			"Look it up in your other mounts and clusters, and with the `base_url` that it was issued for. Otherwise its session " +
				"is over, or is not Vault's: log the user's sessions out in Workfront if that matters.",
		},
		{sends(opWrite, "sessions/lookup", nil), "Pipe the token into `vault write workfront/sessions/lookup access_token=-`."},
		{
			sends(opWrite, "sessions/lookup", map[string]any{fieldAccessToken: "sessionID: x"}),
			"Remove the name of the header and what is around the token.",
		},
		{
			sends(opWrite, "sessions/lookup", map[string]any{fieldAccessToken: strings.Repeat("x", 64<<10+1)}),
			"Send the token, not the log that it was found in.",
		},
		{
			func(m *mount, _ *standIn) (*logical.Response, error) {
				m.must(opDelete, "config", nil)
				return m.request(opWrite, "sessions/lookup", map[string]any{fieldAccessToken: "x"})
			},
			"Give `base_url`.",
		},
		{
			logsOutTwice,
			"Nothing: the plugin retries. The text ends in what was seen; see [above](#reaching-workfront).",
		},
	}
}

func storageErrors() []errorRow {
	token := sends(opRead, "token", nil)
	return []errorRow{
		{after(stored("config", "damaged"), token), "Run the command that the text names."},
		{after(stored("config", `{"version":2}`), token), "Install the newer version of the plugin again."},
		{
			after(stored("roles/reports", "damaged"), sends(opRead, "token/reports", nil)),
			"Run the command that the text names.",
		},
		{
			after(stored("keys/default", "damaged"), token),
			"Run the commands that the text names, and register the new certificate.",
		},
	}
}
