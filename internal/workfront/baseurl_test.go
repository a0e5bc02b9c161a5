package workfront_test

import (
	"strings"
	"testing"
	"unicode"

	"vault-plugin-secrets-workfront/internal/workfront"
)

func TestParseBaseURLAccepts(t *testing.T) {
	const acme = "https://acme.my.workfront.com"
	// Letters of the alphabet in labels of 63 up to a name of 253 characters, the most that DNS carries.
	longest := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." +
		strings.Repeat("d", 253-3*64-len(".workfront.com")) + ".workfront.com"
	tests := []struct {
		name, raw  string
		customHost bool
		want       string
	}{
		{"production", acme, false, acme},
		{"preview", "https://acme.preview.workfront.com", false, "https://acme.preview.workfront.com"},
		{"sandbox", "https://acme.sb01.workfront.com", false, "https://acme.sb01.workfront.com"},
		{"unified shell", "https://acme.my.workfront.adobe.com", false, "https://acme.my.workfront.adobe.com"},
		{"unified shell sandbox", "https://acme.sb01.workfront.adobe.com", false, "https://acme.sb01.workfront.adobe.com"},
		{"upper case", "HTTPS://ACME.My.Workfront.COM", false, acme},
		{"default port", acme + ":443", false, acme},
		{"default port with a zero in front", acme + ":0443", false, acme},
		{"trailing slash", acme + "/", false, acme},
		{"default port and trailing slash", acme + ":443/", false, acme},
		{"digits and hyphens in labels", "https://1-a.2.workfront.com", false, "https://1-a.2.workfront.com"},
		{"longest host name", "https://" + longest, false, "https://" + longest},
		{"workfront's host where others are allowed", acme, true, acme},
		{"other domain", "https://gateway.example.net", true, "https://gateway.example.net"},
		{"domain that ends alike", "https://evilworkfront.com", true, "https://evilworkfront.com"},
		{"workfront's domain in front of another", "https://workfront.com.evil.example", true, "https://workfront.com.evil.example"},
		{"bare domain", "https://workfront.com", true, "https://workfront.com"},
		{"single label", "https://localhost", true, "https://localhost"},
		{"port", "https://gateway.example.net:8443", true, "https://gateway.example.net:8443"},
		{"largest port", "https://gateway.example.net:65535", true, "https://gateway.example.net:65535"},
		{"port on workfront's host", acme + ":8443", true, acme + ":8443"},
		{"other domain with default port", "https://gateway.example.net:443/", true, "https://gateway.example.net"},
		{"ipv4", "https://127.0.0.1:8443", true, "https://127.0.0.1:8443"},
		{"ipv6", "https://[::1]", true, "https://[::1]"},
		{"ipv6 with port", "https://[2001:DB8::1]:8443/", true, "https://[2001:db8::1]:8443"},
		{"ipv6 with default port", "https://[::1]:443", true, "https://[::1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := workfront.ParseBaseURL(tt.raw, tt.customHost)
			if err != nil || got != tt.want {
				t.Fatalf("ParseBaseURL(%q, %t): got %q, %v, want %q", tt.raw, tt.customHost, got, err, tt.want)
			}
			// What is stored once is read again: the normal form is its own normal form.
			if again, err := workfront.ParseBaseURL(got, tt.customHost); err != nil || again != got {
				t.Errorf("ParseBaseURL(%q, %t): got %q, %v, want it unchanged", got, tt.customHost, again, err)
			}
		})
	}
}

// One address in two spellings would be two endpoints: two pools of connections, two shared sessions.
func TestParseBaseURLSpellsAnAddressInOneWay(t *testing.T) {
	for _, raw := range []string{"https://[::1]", "https://[0:0:0:0:0:0:0:1]", "https://[0::0:1]:443"} {
		got, err := workfront.ParseBaseURL(raw, true)
		if want := "https://[::1]"; err != nil || got != want {
			t.Errorf("ParseBaseURL(%q): got %q, %v, want %q", raw, got, err, want)
		}
	}
}

// What allow_custom_host is about: refused without it, with an error that names it, and accepted with it.
func TestParseBaseURLCustomHostOnly(t *testing.T) {
	for _, raw := range []string{
		"https://acme.example.com",
		"https://adobe.com",
		"https://acme.adobe.com",
		"https://workfront.com.evil.example",
		"https://acme.my.workfront.com.evil.example",
		"https://evilworkfront.com",
		"https://acme.evilworkfront.com",
		"https://evil-workfront.com",
		"https://acme.evilworkfront.adobe.com",
		"https://workfront.com",
		"https://workfront.adobe.com",
		"https://acme.workfront.com.au",
		"https://localhost",
		"https://127.0.0.1",
		"https://127.0.0.1:443",
		"https://[::1]",
		"https://[::ffff:127.0.0.1]",
		"https://acme.my.workfront.com:8443",
		"https://acme.my.workfront.com:80",
	} {
		t.Run(raw, func(t *testing.T) {
			got, err := workfront.ParseBaseURL(raw, false)
			if err == nil {
				t.Fatalf("got %q, want an error", got)
			}
			if want := "allow_custom_host"; !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want the way out, %s, in it", err, want)
			}
			if _, err := workfront.ParseBaseURL(raw, true); err != nil {
				t.Errorf("with allowCustomHost: got %v, want no error", err)
			}
		})
	}
}

// What nothing makes right, whatever hosts are allowed.
func TestParseBaseURLRefuses(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"empty", "", "https://"},
		{"http", "http://acme.my.workfront.com", "must start with https://"},
		{"other scheme", "ftp://acme.my.workfront.com", "must start with https://"},
		{"no scheme", "acme.my.workfront.com", "must start with https://"},
		{"no scheme but slashes", "//acme.my.workfront.com", "must start with https://"},
		{"no scheme but a port", "acme.my.workfront.com:443", ""},
		{"opaque", "https:acme.my.workfront.com", "has no host"},
		{"one slash", "https:/acme.my.workfront.com", "has no host"},
		{"scheme alone", "https://", "has no host"},
		{"three slashes", "https:///acme.my.workfront.com", "has no host"},
		{"port without a host", "https://:443", ""},
		{"user", "https://user@acme.my.workfront.com", "user name"},
		{"user and password", "https://user:pass@acme.my.workfront.com", "user name"},
		{"empty user", "https://@acme.my.workfront.com", "user name"},
		{"host disguised as user", "https://acme.my.workfront.com@evil.example", "user name"},
		{"host disguised as password", "https://acme.my.workfront.com:443@evil.example", "user name"},
		{"path", "https://acme.my.workfront.com/attask", "path"},
		{"path of two slashes", "https://acme.my.workfront.com//", "path"},
		{"path of a dot", "https://acme.my.workfront.com/.", "path"},
		{"query", "https://acme.my.workfront.com?a=b", "query"},
		{"query behind a slash", "https://acme.my.workfront.com/?a=b", "query"},
		{"empty query", "https://acme.my.workfront.com?", "query"},
		{"fragment", "https://acme.my.workfront.com#top", "fragment"},
		{"empty fragment", "https://acme.my.workfront.com#", "fragment"},
		{"host behind a fragment", "https://evil.example#.my.workfront.com", "fragment"},
		{"host behind a query", "https://evil.example?.my.workfront.com", "query"},
		{"host behind a backslash", `https://evil.example\.my.workfront.com`, "character"},
		{"backslash for a slash", `https:\\acme.my.workfront.com`, "character"},
		{"trailing dot", "https://acme.my.workfront.com.", "dot"},
		{"trailing dot and port", "https://acme.my.workfront.com.:443", "dot"},
		{"leading dot", "https://.workfront.com", "host name"},
		{"two dots", "https://acme..workfront.com", "host name"},
		{"dot alone", "https://.", ""},
		{"underscore", "https://a_b.my.workfront.com", "host name"},
		{"leading hyphen", "https://-acme.my.workfront.com", "host name"},
		{"trailing hyphen", "https://acme-.my.workfront.com", "host name"},
		{"wildcard", "https://*.my.workfront.com", "host name"},
		{"label of 64 characters", "https://" + strings.Repeat("a", 64) + ".workfront.com", "host name"},
		{"name of 254 characters", "https://" + strings.Repeat("a.", 119) + "bb.workfront.com", "253"},
		{"percent-encoded dot", "https://evil.example%2emy.workfront.com", ""},
		{"percent-encoded slash", "https://evil.example%2f.my.workfront.com", ""},
		{"two hosts", "https://evil.example,acme.my.workfront.com", "host name"},
		{"colon without a port", "https://acme.my.workfront.com:", "colon"},
		{"colon without a port and slash", "https://acme.my.workfront.com:/", "colon"},
		{"port 0", "https://acme.my.workfront.com:0", "65535"},
		{"port 65536", "https://acme.my.workfront.com:65536", "65535"},
		{"port 99999", "https://acme.my.workfront.com:99999", "65535"},
		{"port beyond 64 bits", "https://acme.my.workfront.com:18446744073709552059", "65535"},
		{"port that is no number", "https://acme.my.workfront.com:https", ""},
		{"negative port", "https://acme.my.workfront.com:-1", ""},
		{"ports twice", "https://acme.my.workfront.com:443:443", ""},
		{"hexadecimal address", "https://0x7f.1", "usual spelling"},
		{"hexadecimal address in one", "https://0x7f000001", "usual spelling"},
		{"decimal address", "https://2130706433", "usual spelling"},
		{"octal address", "https://0177.0.0.1", "usual spelling"},
		{"short address", "https://127.1", "usual spelling"},
		{"address out of range", "https://127.0.0.256", "usual spelling"},
		{"numeric top-level domain", "https://acme.my.workfront.0x1", "usual spelling"},
		{"ipv6 with a zone", "https://[::1%25eth0]", "zone"},
		{"ipv6 with an unescaped zone", "https://[::1%eth0]", ""},
		{"ipv6 without brackets", "https://::1", ""},
		{"name in brackets", "https://[acme.my.workfront.com]", ""},
		{"half a bracket", "https://[::1", ""},
		{"ideographic full stop", "https://acme。my。workfront.com", "character"},
		{"fullwidth letters", "https://ａcme.my.workfront.com", "character"},
		{"cyrillic letter", "https://аcme.my.workfront.com", "character"},
		{"soft hyphen", "https://acme\u00ad.my.workfront.com", "character"},
		{"invalid utf-8", "https://acme\xff.my.workfront.com", "character"},
		{"new line at the end", "https://acme.my.workfront.com\n", "character"},
		{"header injection", "https://acme.my.workfront.com\r\nHost: evil.example", "character"},
		{"tab", "https://acme\t.my.workfront.com", "character"},
		{"null byte", "https://evil.example\x00.my.workfront.com", "character"},
		{"delete", "https://acme\x7f.my.workfront.com", "character"},
		{"leading space", " https://acme.my.workfront.com", "character"},
		{"space within", "https://acme .my.workfront.com", "character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, customHost := range []bool{false, true} {
				got, err := workfront.ParseBaseURL(tt.raw, customHost)
				if err == nil {
					t.Fatalf("ParseBaseURL(%q, %t): got %q, want an error", tt.raw, customHost, got)
				}
				if got != "" {
					t.Errorf("got the address %q besides the error, want none", got)
				}
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("ParseBaseURL(%q, %t): got %q, want %q in it", tt.raw, customHost, err, tt.want)
				}
				if strings.ContainsFunc(err.Error(), unicode.IsControl) {
					t.Errorf("got %q, want no control character of the input in it", err)
				}
				// It may have been pasted with a password in it.
				if strings.Contains(err.Error(), "pass@") {
					t.Errorf("got %q, want no password in it", err)
				}
			}
		})
	}
}
