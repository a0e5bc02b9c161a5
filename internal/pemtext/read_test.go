package pemtext_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

// wrapped puts a line end behind every n characters.
func wrapped(text string, n int) string {
	var lines strings.Builder
	for chunk := range slices.Chunk([]byte(text), n) {
		lines.Write(chunk)
		lines.WriteByte('\n')
	}
	return lines.String()
}

// forms are ways in which a PEM text comes along; each is a function of the text that a tool wrote.
var forms = []struct {
	name string
	of   func(text string) string
}{
	{"as it is", func(s string) string { return s }},
	{"no line end at the end", strings.TrimSpace},
	{"white space around", func(s string) string { return "\n \t\n" + s + " \r\n\t\n" }},
	{"byte order mark", func(s string) string { return "\ufeff" + s }},
	{"zero-width spaces", func(s string) string { return strings.ReplaceAll(s, "\n", "\u200b\n") }},
	{"indented by blanks", func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }},
	{"indented by tabs", func(s string) string { return "\t" + strings.ReplaceAll(s, "\n", "\n\t") }},
	{"indented by no-break spaces", func(s string) string { return "\u00a0" + strings.ReplaceAll(s, "\n", "\n\u00a0") }},
	{"blanks at the ends of lines", func(s string) string { return strings.ReplaceAll(s, "\n", "  \n") }},
	{"empty lines", func(s string) string { return strings.ReplaceAll(s, "\n", "\n\n") }},
	{"CRLF", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
	{"CR", func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }},
	{"Unicode's line ends", func(s string) string { return strings.ReplaceAll(s, "\n", "\u2028") }},
	{`\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }},
	{`\r\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\r\n`) }},
	{`\r`, func(s string) string { return strings.ReplaceAll(s, "\n", `\r`) }},
	{`\n and a line end`, func(s string) string { return strings.ReplaceAll(s, "\n", `\n`) + "\r\n" }},
	{`\t\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\n\t`) }},
	{`\\n`, func(s string) string { return strings.ReplaceAll(s, "\n", `\\n`) }},
	{"backslashes at the ends of lines", func(s string) string { return strings.ReplaceAll(s, "\n", "\\\n") }},
	{"blanks for line ends", func(s string) string { return strings.ReplaceAll(s, "\n", " ") }},
	{"no white space at all", func(s string) string { return strings.Join(strings.Fields(s), "") }},
	{"double quotes", func(s string) string { return `"` + s + `"` }},
	{"single quotes", func(s string) string { return `'` + s + `'` }},
	{"typographic quotes", func(s string) string { return "\u201c" + s + "\u201d" }},
	{`quotes and \n`, func(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` }},
	{`escaped quotes and \n`, func(s string) string { return `\"` + strings.ReplaceAll(s, "\n", `\\n`) + `\"` }},
	{"quoted lines", func(s string) string { return `"` + strings.ReplaceAll(s, "\n", "\\n\"\n\"") + `"` }},
	{"JSON", func(s string) string { return asJSON(s) }},
	{"JSON in JSON", func(s string) string { return asJSON(asJSON(s)) }},
	{"a field of a JSON object", func(s string) string { return asJSON(map[string]string{"private_key": s, "token_uri": "https://x"}) }},
	{"JSON that escapes the slash and the plus", func(s string) string {
		return strings.NewReplacer("/", `\/`, "+", `\u002B`, "\n", `\u000a`).Replace(s)
	}},
	{"YAML", func(s string) string { return "private_key: |\n  " + strings.ReplaceAll(s, "\n", "\n  ") }},
	{"item of a YAML list", func(s string) string { return "- " + strings.ReplaceAll(s, "\n", "\n  ") }},
	{"environment file", func(s string) string { return `PRIVATE_KEY="` + strings.ReplaceAll(s, "\n", `\n`) + `"` }},
	{"text around", func(s string) string {
		return "Bag Attributes\n    friendlyName: back-end: a--b, week-END CERTIFICATE-----1\n    localKeyID: 54 69\nKey Attributes: <No Attributes>\n" + s + "-- END OF FILE --\n\n--- "
	}},
	{"base64", base64Of},
	{"base64 in lines", func(s string) string { return wrapped(base64Of(s), 76) }},
	{"base64 in quotes", func(s string) string { return `"` + base64Of(s) + "\"\n" }},
	{"base64 without padding", func(s string) string { return strings.TrimRight(base64Of(s+"\n"), "=") }},
	{"base64 of base64", func(s string) string { return base64Of(wrapped(base64Of(s), 64)) }},
	{"base64 of what has CRLF", func(s string) string { return base64Of("\ufeff" + strings.ReplaceAll(s, "\n", "\r\n")) }},
}

func TestReadForms(t *testing.T) {
	o := made()
	texts := []struct {
		name, text string
		want       []pemtext.Block
	}{
		{"private key", privatePEM(), []pemtext.Block{{Kind: pemtext.PKCS8, DER: o.pkcs8}}},
		{"certificate", certificatePEM(), []pemtext.Block{{Kind: pemtext.Certificate, DER: o.certificate}}},
		{"key with its chain", privatePEM() + certificatePEM() + pemOf("CERTIFICATE", o.second), []pemtext.Block{
			{Kind: pemtext.PKCS8, DER: o.pkcs8}, {Kind: pemtext.Certificate, DER: o.certificate}, {Kind: pemtext.Certificate, DER: o.second},
		}},
		{"files without line ends at their ends", strings.TrimSpace(certificatePEM()) + privatePEM(), []pemtext.Block{
			{Kind: pemtext.Certificate, DER: o.certificate}, {Kind: pemtext.PKCS8, DER: o.pkcs8},
		}},
	}
	for _, form := range forms {
		for _, tt := range texts {
			t.Run(form.name+"/"+tt.name, func(t *testing.T) {
				checkBlocks(t, form.of(tt.text), tt.want)
			})
		}
	}
}

// checkBlocks checks that text is read as want, and that what Normalise makes of it is plain.
func checkBlocks(t *testing.T, text string, want []pemtext.Block) {
	t.Helper()
	got, err := pemtext.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b pemtext.Block) bool { return a.Kind == b.Kind && bytes.Equal(a.DER, b.DER) }
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("got %v, want %v, or other bytes", kindsOf(got), kindsOf(want))
	}
	normal, err := pemtext.Normalise(text)
	if err != nil || normal != pemtext.Encode(want...) {
		t.Errorf("normal form: got an error %v, or other text than want", err)
	}
}

// What is inside decides, not what the label says.
func TestReadKnowsTheContent(t *testing.T) {
	o := made()
	settings := func(content string) []byte {
		return append(slices.Clone(o.certificate), append([]byte{0x30, byte(len(content))}, content...)...)
	}
	const serverAuth = "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
	dsa := []byte("\x30\x12" + strings.Repeat("\x02\x01\x05", 6))
	tests := []struct {
		name, label string
		der         []byte
		want        pemtext.Kind
		wantDER     []byte
	}{
		{"PKCS#1", "RSA PRIVATE KEY", o.pkcs1, pemtext.PKCS1, o.pkcs1},
		{"PKCS#1 labelled as PKCS#8", "PRIVATE KEY", o.pkcs1, pemtext.PKCS1, o.pkcs1},
		{"PKCS#8 labelled as PKCS#1", "RSA PRIVATE KEY", o.pkcs8, pemtext.PKCS8, o.pkcs8},
		{"PKCS#8 labelled as encrypted", "ENCRYPTED PRIVATE KEY", o.pkcs8, pemtext.PKCS8, o.pkcs8},
		{"private key labelled as a certificate", "CERTIFICATE", o.pkcs8, pemtext.PKCS8, o.pkcs8},
		{"certificate labelled as a key", "PRIVATE KEY", o.certificate, pemtext.Certificate, o.certificate},
		{"a label of its own", "MY KEY", o.pkcs8, pemtext.PKCS8, o.pkcs8},
		{"EC", "EC PRIVATE KEY", o.ec, pemtext.EC, o.ec},
		{"EC in PKCS#8", "PRIVATE KEY", o.ecPKCS8, pemtext.PKCS8, o.ecPKCS8},
		{"public key", "PUBLIC KEY", o.public, pemtext.PublicKey, o.public},
		{"PKCS#1 public key", "RSA PUBLIC KEY", o.pkcs1Public, pemtext.PKCS1Public, o.pkcs1Public},
		{"request", "CERTIFICATE REQUEST", o.request, pemtext.Request, o.request},
		{"request, as Windows labels it", "NEW CERTIFICATE REQUEST", o.request, pemtext.Request, o.request},
		{"request without attributes", "CERTIFICATE REQUEST", unattributed(o.request), pemtext.Request, unattributed(o.request)},
		{"certificate with an old label", "X509 CERTIFICATE", o.certificate, pemtext.Certificate, o.certificate},
		{"certificate of version 1", "CERTIFICATE", version1(o.certificate), pemtext.Certificate, version1(o.certificate)},
		{"trusted certificate without settings", "TRUSTED CERTIFICATE", settings(""), pemtext.Certificate, o.certificate},
		{"trusted certificate with a name", "TRUSTED CERTIFICATE", settings("\x0c\x02CA"), pemtext.Certificate, o.certificate},
		{"trusted for something", "TRUSTED CERTIFICATE", settings(serverAuth), pemtext.TrustedCertificate, o.certificate},
		{"not trusted for something", "TRUSTED CERTIFICATE", settings("\xa0" + serverAuth[1:]), pemtext.TrustedCertificate, o.certificate},
		{"DSA", "DSA PRIVATE KEY", dsa, pemtext.DSA, dsa},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := []pemtext.Block{{Kind: tt.want, DER: tt.wantDER}}
			checkBlocks(t, pemOf(tt.label, tt.der), want)
			checkBlocks(t, base64Of(string(tt.der)), want)
			checkBlocks(t, string(tt.der), want)
		})
	}
}

// version1 takes the version out of a certificate, and with it the length of two SEQUENCEs down. The signature no
// longer fits.
func version1(der []byte) []byte {
	return shorten(strings.Replace(string(der), "\xa0\x03\x02\x01\x02", "", 1), 5)
}

// unattributed takes the empty attributes out of a request, as some old devices do.
func unattributed(der []byte) []byte {
	return shorten(strings.Replace(string(der), "\xa0\x00", "", 1), 2)
}

// shorten takes n off the lengths of the outermost SEQUENCE and of the one that it begins with, of two bytes each.
func shorten(der string, n int) []byte {
	short := []byte(der)
	for _, at := range []int{2, 6} {
		length := int(short[at])<<8 | int(short[at+1]) - n
		short[at], short[at+1] = byte(length>>8), byte(length)
	}
	return short
}

// What begins like a block and cannot be read is an error that says which.
func TestReadRefusesDamage(t *testing.T) {
	key, cert := privatePEM(), certificatePEM()
	lines := strings.SplitAfter(key, "\n")
	without := func(n int) string { return strings.Join(slices.Delete(slices.Clone(lines), n, n+1), "") }
	tests := []struct{ name, text, want string }{
		{"empty", "", "is not PEM"},
		{"white space", " \r\n\t", "is not PEM"},
		{"words", "correct horse battery staple", "is not PEM"},
		{"a dash", "-", "is not PEM"},
		{"dashes and a blank", "----- ", "is not PEM"},
		{"a file name", "private.key", "is not PEM"},
		{"a file name that is base64", "certificates", "is not PEM"},
		{"base64 of words", base64Of(strings.Repeat("correct horse battery staple ", 9)), "is not PEM"},
		{"too many layers of base64", base64Of(base64Of(base64Of(key))), "is not PEM"},
		{"base64 without its frame", strings.Join(lines[1:9], ""), "base64 without a -----BEGIN and an -----END line"},
		{"base64 of a file that is cut off", base64Of(key[:len(key)-30]), "PEM block 1 has no -----END line"},
		{"no end", key[:len(key)/2], "PEM block 1 has no -----END line"},
		{"no end before the next", key[:len(key)/2] + "\n" + cert, "PEM block 1 has no -----END line"},
		{"no beginning", key[len(key)/2:], "PEM block 1 has no -----BEGIN line"},
		{"second without an end", cert + key[:len(key)/2], "PEM block 2 has no -----END line"},
		{"second without a beginning", cert + key[len(key)/2:], "PEM block 2 has no -----BEGIN line"},
		{"a dash of the first line is missing", key[1:], "PEM block 1 has a damaged -----BEGIN or -----END line"},
		{"a dash of the last line is missing", key[:len(key)-2], "PEM block 1 has a damaged -----END line"},
		{"a dash of the second's first line is missing", cert + key[1:], "PEM block 2 has a damaged -----BEGIN or -----END line"},
		{"three dashes of the first line are missing", key[3:], "PEM block 1 has a damaged -----BEGIN or -----END line"},
		{"blanks in the first line", "----- BEGIN" + key[len("-----BEGIN"):], "PEM block 1 has a damaged -----BEGIN or -----END line"},
		{"the first line is cut off", cert + key[:len("-----BEGIN PRIV")], "PEM block 2 has a damaged -----BEGIN or -----END line"},
		{"the first line never ends", cert + "-----BEGIN " + strings.Repeat("A", 99) + "-----\n", "PEM block 2 has a damaged"},
		{"another end", strings.Replace(key, "-----END PRIVATE KEY", "-----END CERTIFICATE", 1), "PEM block 1 begins as one kind of block and ends as another"},
		{"a line is missing", without(5), "PEM block 1 holds no readable key or certificate"},
		{"the last line is missing", without(len(lines) - 3), "PEM block 1 holds"},
		{"a character is missing", strings.Replace(key, "MII", "MI", 1), "PEM block 1 holds"},
		{"no base64", strings.Replace(key, "\nM", "\n!", 1), "PEM block 1 holds something else than base64"},
		{"a backslash inside", strings.Replace(key, "\nM", "\n\\xM", 1), "PEM block 1 holds something else than base64"},
		{"a bad escape inside", strings.Replace(key, "\nM", "\n\\u00zzM", 1), "PEM block 1 holds something else than base64"},
		{"empty block", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "PEM block 1 holds"},
		{"something else inside", pemOf("CERTIFICATE", []byte{0x30, 0}), "PEM block 1 holds no readable key or certificate"},
		{"something else in a request", pemOf("CERTIFICATE REQUEST", []byte{0x30, 0}), "PEM block 1 holds no readable key or certificate"},
		{"a number inside", pemOf("CERTIFICATE", []byte{2, 1, 3}), "PEM block 1 holds no readable key or certificate"},
		{"bytes behind the key", pemOf("PRIVATE KEY", append(slices.Clone(made().pkcs8), 0)), "PEM block 1 holds no readable key or certificate"},
		{"bytes behind the certificate", pemOf("CERTIFICATE", append(slices.Clone(made().certificate), 0)), "PEM block 1 holds no readable key or certificate"},
		{"a number behind the certificate", pemOf("CERTIFICATE", append(slices.Clone(made().certificate), 2, 1, 1)), "PEM block 1 holds no readable key or certificate"},
		{"bytes behind the settings", pemOf("CERTIFICATE", append(slices.Clone(made().certificate), 0x30, 0, 0)), "PEM block 1 holds no readable key or certificate"},
		{"too much padding", strings.Replace(key, "-----END", "====-----END", 1), "PEM block 1 holds something else than base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pemtext.Read(tt.text)
			if err == nil || got != nil {
				t.Fatalf("got %v, %v, want an error alone", kindsOf(got), err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			checkSilence(t, err, tt.text)
		})
	}
}

// A text may end anywhere, also within an escape.
func TestReadTakesEndsOfEscapes(t *testing.T) {
	want := []pemtext.Block{{Kind: pemtext.PKCS8, DER: made().pkcs8}}
	for _, end := range []string{`\`, `\\`, `\n`, `\x`, `\u`, `\u0`, `\u00`, `\u000`, `\u000a`, `\u000g`, `\u2028`, `\\u000a`} {
		t.Run(end, func(t *testing.T) {
			checkBlocks(t, strings.TrimSpace(privatePEM())+end, want)
			if got, err := pemtext.Read(end); !errors.Is(err, pemtext.ErrNotPEM) {
				t.Errorf("alone: got %v, %v, want that it is not PEM", kindsOf(got), err)
			}
		})
	}
}

// Headers are left out (RFC 1421): they say nothing that is needed, unless that the block is encrypted.
func TestReadLeavesHeadersOut(t *testing.T) {
	key := strings.Replace(privatePEM(), "-----\n", "-----\nComment: \"a b\"\nX-Proc: 1\n\n", 1)
	checkBlocks(t, key, []pemtext.Block{{Kind: pemtext.PKCS8, DER: made().pkcs8}})
}

// A search that starts anew at each beginning takes hours for these, not milliseconds.
func TestReadIsLinear(t *testing.T) {
	const size = 1 << 20
	for _, part := range []string{
		"-", "--", "-----", "-----BEGIN", "-----BEGIN ", "-----BEGIN A", "-----BEGIN A-----", "--BEGIN A--", "-----END A-----", `\`, `\n`, `\u00`,
		"A", "A ", "-----BEGIN A-----:\n-----END A-----", "-----BEGIN A-----\n-----END A-----", "\"", "{", "\x00", "\x30\x80", "MII", "\ufffd",
	} {
		text := strings.Repeat(part, size/len(part))
		_, _ = pemtext.Read(text)
		_, _ = pemtext.Read("-----BEGIN PRIVATE KEY-----\n" + text)
	}
}
