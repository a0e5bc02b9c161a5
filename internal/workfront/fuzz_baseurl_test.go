package workfront_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// FuzzParseBaseURL looks for an address that is accepted and leads elsewhere than it seems, to whatever reads it.
func FuzzParseBaseURL(f *testing.F) {
	for _, raw := range []string{
		"https://acme.my.workfront.com", "HTTPS://ACME.my.Workfront.COM:0443/", "https://acme.sb01.workfront.adobe.com", "https://gateway.example.net:8443",
		"https://[2001:DB8::1]:8443/", "https://127.0.0.1", "https://0x7f.1", "https://[::1%25eth0]", "https://[::ffff:10.0.0.1]", "https://user:pass@acme.my.workfront.com",
		"https://acme.my.workfront.com@evil.example", `https://evil.example\.my.workfront.com`, "https://evil.example#.my.workfront.com",
		"https://evil.example?.my.workfront.com", "https://evil.example%2f.my.workfront.com", "https://acme.my.workfront.com.:443", "https:acme.my.workfront.com",
		"https://workfront.com", "https://evilworkfront.com", "https://acme.my.workfront.com:", "https://acme.my.workfront.com:99999", "https://ａcme.my.workfront.com",
		"https://xn--cme-8cd.workfront.com", "https://acme.my.workfront.com\r\nHost: evil.example", "https://acme.my.workfront.com//x@evil.example", "",
	} {
		f.Add(raw, false)
		f.Add(raw, true)
	}
	f.Fuzz(func(t *testing.T, raw string, customHost bool) {
		got, err := workfront.ParseBaseURL(raw, customHost)
		if err != nil {
			checkBaseURLError(t, raw, got, err)
			return
		}
		if again, err := workfront.ParseBaseURL(got, customHost); err != nil || again != got {
			t.Errorf("%q became %q, and that %q, %v: want it unchanged", raw, got, again, err)
		}
		if custom, err := workfront.ParseBaseURL(raw, true); err != nil || custom != got {
			t.Errorf("%q is %q, but %q, %v where any host is allowed", raw, got, custom, err)
		}
		host, port := readByHand(t, got)
		if hostAsSent, portAsSent := readByHand(t, raw); sameHost(hostAsSent) != sameHost(host) || samePort(portAsSent) != samePort(port) {
			t.Errorf("%q became %q, which is another address", raw, got)
		}
		if port == "443" || port != strings.TrimLeft(port, "0") {
			t.Errorf("%q became %q: want no default port, and no zero in front of another", raw, got)
		}
		if !regexp.MustCompile(`^([a-z0-9.-]{1,253}|\[[0-9a-f:.]+\])$`).MatchString(host) {
			t.Errorf("%q became %q, whose host is no name and no address", raw, got)
		}
		if !customHost && (port != "" || !regexp.MustCompile(`^([a-z0-9-]+\.)+workfront(\.adobe)?\.com$`).MatchString(host)) {
			t.Errorf("%q became %q without allow_custom_host", raw, got)
		}
		// What is dialled in the end is up to net/http.
		const path = "/attask/api"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, got+path, nil)
		if err != nil {
			t.Fatalf("%q became %q, which makes no request: %v", raw, got, err)
		}
		if want := (url.URL{Scheme: "https", Host: got[len("https://"):], Path: path}); *req.URL != want || req.Host != want.Host {
			t.Errorf("%q became %q, which is requested as %#v of %q", raw, got, *req.URL, req.Host)
		}
	})
}

// readByHand takes an address apart as a browser or a proxy would that has never heard of net/url.
func readByHand(t *testing.T, address string) (host, port string) {
	t.Helper()
	const scheme = "https://"
	if len(address) < len(scheme) || !strings.EqualFold(address[:len(scheme)], scheme) {
		t.Fatalf("%q was accepted, which does not begin with %s", address, scheme)
	}
	host = strings.TrimSuffix(address[len(scheme):], "/")
	if strings.ContainsAny(host, "@/?#\\% \t\r\n") {
		t.Fatalf("%q was accepted, which is more than a host", address)
	}
	if end := strings.LastIndex(host, ":"); end > strings.LastIndex(host, "]") {
		host, port = host[:end], host[end+1:]
	}
	return host, port
}

// sameHost makes spellings equal that mean the same.
func sameHost(host string) string {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.String()
	}
	return strings.ToLower(host)
}

func samePort(port string) string {
	if port = strings.TrimLeft(port, "0"); port == "" {
		return "443"
	}
	return port
}

// An address that is refused may have been pasted with a password in it: only a host and a port are ever repeated.
func checkBaseURLError(t *testing.T, raw, got string, err error) {
	t.Helper()
	if got != "" {
		t.Errorf("%q: got the address %q besides the error %v", raw, got, err)
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q: got %q, want no characters in it that forge a line", raw, err)
	}
	if strings.ContainsAny(raw, "@?#") && strings.ContainsAny(err.Error(), `"`) {
		t.Errorf("%q: got %q, want nothing of the input in it", raw, err)
	}
	if limit := 300 + len(raw); len(err.Error()) > limit {
		t.Errorf("got an error of %d characters, want at most %d: %q", len(err.Error()), limit, err)
	}
}

// FuzzParseCACert looks for text that is accepted and makes no client, and for text that is repeated.
func FuzzParseCACert(f *testing.F) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	whole := certificatePEM(server.Certificate())
	for _, text := range []string{
		whole, whole + whole, strings.ReplaceAll(whole, "\n", "\r\n"), whole[:len(whole)/2], "text\n" + whole + "text\n", "",
		"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nname: value\n\nAAAAAAAAAAAAAAAAAAAAAAAA\n-----END CERTIFICATE-----\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := workfront.ParseCACert(text)
		_, clientErr := workfront.NewClients(workfront.ClientsOptions{}).Client(workfront.Endpoint{BaseURL: "https://acme.my.workfront.com", CACert: text})
		if (err == nil) != (clientErr == nil) {
			t.Errorf("ParseCACert: %v, Client: %v, want them to agree", err, clientErr)
		}
		if err == nil {
			return
		}
		for _, line := range regexp.MustCompile(`[A-Za-z0-9+/=]{16,}`).FindAllString(text, -1) {
			if strings.Contains(err.Error(), line) {
				t.Errorf("got %q, want no %q in it", err, line)
			}
		}
	})
}
