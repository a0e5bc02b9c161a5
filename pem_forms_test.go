package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
)

// pemForms are ways in which a PEM text reaches a field.
func pemForms(t *testing.T, text string) []struct{ name, text string } {
	t.Helper()
	replaced := func(with string) string { return strings.ReplaceAll(text, "\n", with) }
	return []struct{ name, text string }{
		{"as it is", text},
		{"no line end at the end", strings.TrimSpace(text)},
		{"byte order mark", "\ufeff" + text},
		{"indented, as in YAML", "    " + replaced("\n    ")},
		{"tabs", "\t" + replaced("\t\n\t")},
		{"CR", replaced("\r")},
		{"CRLF", replaced("\r\n")},
		{`literal \n`, replaced(`\n`)},
		{`literal \r\n`, replaced(`\r\n`)},
		{"blanks for line ends", replaced(" ")},
		{"quotes", `"` + text + `"`},
		{`quotes with \n inside`, `'` + replaced(`\n`) + `'`},
		{"JSON", asJSON(t, text)},
		{"JSON in JSON", asJSON(t, asJSON(t, text))},
		{"base64", base64.StdEncoding.EncodeToString([]byte(text))},
		{"base64 of base64", base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n"))},
		{"bag attributes", "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n" + text},
		{"text behind it", text + "# end of file\n"},
	}
}

// Keys and certificates are imported in the forms in which people have them.
func TestKeysImportForms(t *testing.T) {
	m := newMount(t)
	private, certificate, chain := testKeyPEM(t), testKey().CertificatePEM(), otherKey().CertificatePEM()
	public, err := testKey().PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	relabelled := strings.ReplaceAll(private, "PRIVATE KEY", "RSA PRIVATE KEY")
	pkcs1 := pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKey().Private))
	type form struct {
		name, key, certificate string
		own                    bool // the key's own certificate is stored, and none is generated
	}
	var tests []form
	for _, f := range pemForms(t, private) {
		tests = append(tests, form{"key, " + f.name, f.text, "", false})
	}
	for _, f := range pemForms(t, certificate) {
		tests = append(tests, form{"certificate, " + f.name, private, f.text, true})
	}
	for _, f := range pemForms(t, private+certificate+chain) {
		tests = append(tests, form{"key with its chain, " + f.name, f.text, "", true}, form{"twice the same file, " + f.name, f.text, f.text, true})
	}
	tests = append(tests,
		form{"PKCS#1", pkcs1, "", false},
		form{"PKCS#1 labelled as PKCS#8", strings.ReplaceAll(pkcs1, "RSA PRIVATE KEY", "PRIVATE KEY"), "", false},
		form{"PKCS#8 labelled as PKCS#1", relabelled, "", false},
		form{"base64 of DER", strings.Join(strings.Split(private, "\n")[1:27], ""), "", false},
		form{"with its public key", private + public, "", false},
		form{"certificate and key", certificate + private, "", true},
		form{"chain, certificate and key", chain + certificate + private, "", true},
		form{"certificate behind another", private, chain + certificate, true},
		form{"trusted certificate", private, openssl(t, "x509", "-trustout", "-in", tempFile(t, certificate)), true},
		form{"from PKCS#12", fromPKCS12(t, private, certificate), "", true},
	)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			data := map[string]any{settings.FieldPrivateKey: tt.key}
			if tt.certificate != "" {
				data[settings.FieldCertificate] = tt.certificate
			}
			got := m.write(fmt.Sprintf("keys/k%d/import", i), data).Data
			stored := parseCertificate(t, got[settings.FieldCertificate])
			if !testKey().Private.PublicKey.Equal(stored.PublicKey) {
				t.Error("the certificate is of another key")
			}
			if own := stored.Equal(testKey().Certificate); own != tt.own {
				t.Errorf("the given certificate: got %t, want %t", own, tt.own)
			}
		})
	}
}

// What is not taken says which form it looks like, and the command that converts it. Nothing of it is quoted or stored.
func TestKeysImportRefusesForms(t *testing.T) {
	m := newMount(t)
	private, certificate, other := testKeyPEM(t), testKey().CertificatePEM(), otherKey()
	otherPrivate, err := other.PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	public, err := testKey().PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certificateFile := tempFile(t, private), tempFile(t, certificate)
	made := func(args ...string) string { return openssl(t, args...) }
	pkcs12 := made("pkcs12", "-export", "-inkey", keyFile, "-in", certificateFile, "-passout", "pass:x")
	utf16 := "\xff\xfe" + strings.Join(strings.Split(private, ""), "\x00") + "\x00"
	tests := []struct {
		name, key, certificate string
		want                   []string
	}{
		{"PKCS#12", pkcs12, "", []string{"private_key", "PKCS#12", "`openssl pkcs12 -in private.p12 -nodes"}},
		{"PKCS#12 through JSON", strings.ToValidUTF8(pkcs12, "\ufffd"), "", []string{"private_key", "PKCS#12"}},
		{"PKCS#12 in base64", base64.StdEncoding.EncodeToString([]byte(pkcs12)), "", []string{"private_key", "PKCS#12"}},
		{"OpenSSH", pemBlock("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), "", []string{"private_key", "OpenSSH", "`ssh-keygen -p -m PEM"}},
		{"JWK", `{"kty":"RSA","n":"c2VjcmV0","d":"c2VjcmV0"}`, "", []string{"private_key", "JSON Web Key", "`node -p"}},
		{"encrypted", made("pkcs8", "-topk8", "-in", keyFile, "-passout", "pass:x"), "", []string{"private_key", "encrypted", "`openssl pkey"}},
		{
			"encrypted in the old way", made("rsa", "-in", keyFile, "-traditional", "-aes128", "-passout", "pass:x"), "",
			[]string{"private_key", "encrypted", "`openssl pkey"},
		},
		{"RSAParameters", "<RSAKeyValue><Modulus>c2VjcmV0</Modulus></RSAKeyValue>", "", []string{"private_key", ".NET", "FromXmlString"}},
		{"PuTTY", "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", "", []string{"private_key", "PuTTY", "`puttygen"}},
		{"UTF-16", utf16, "", []string{"private_key", "UTF-16", "`iconv"}},
		{"certificate request", made("req", "-new", "-key", keyFile, "-subj", "/CN=x"), "", []string{"private_key", "signing request"}},
		{"EC", made("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "", []string{"private_key", "elliptic", "`openssl req"}},
		{"public key alone", public, "", []string{"private_key", "public key where the private key belongs"}},
		{"certificate alone", certificate, "", []string{"private_key", "certificate where the private key belongs"}},
		{"two private keys", private + otherPrivate, "", []string{"private_key", "more than one private key"}},
		{"two private keys in base64", base64.StdEncoding.EncodeToString([]byte(private + otherPrivate)), "", []string{"private_key", "more than one"}},
		{"certificate of another key beside it", private + other.CertificatePEM(), "", []string{"private_key", "another key"}},
		{"certificate of another key", private, other.CertificatePEM(), []string{"certificate", "another key"}},
		{"second certificate cut off", private, certificate + certificate[:300], []string{"certificate", "PEM block 2 has no -----END line"}},
		{"negative serial number", private, made("req", "-x509", "-key", keyFile, "-subj", "/CN=x", "-set_serial", "-5"), []string{"certificate", "negative"}},
		{"longer than 64 KiB", private + strings.Repeat(" ", 64<<10), "", []string{"private_key", "64 KiB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			data := map[string]any{settings.FieldPrivateKey: tt.key}
			if tt.certificate != "" {
				data[settings.FieldCertificate] = tt.certificate
			}
			m.wantRefused(logical.UpdateOperation, "keys/k/import", data, tt.want...)
			if got := m.read("keys/k"); got != nil {
				t.Errorf("got %v, want nothing stored", got)
			}
		})
	}
	// A certificate that comes along is as good as one that is given.
	m.t = t
	both := map[string]any{settings.FieldPrivateKey: private + certificate, settings.FieldCommonName: "x"}
	m.wantRefused(logical.UpdateOperation, "keys/k/import", both, "common_name", "leave one")
}

// ca_cert is taken in the same forms, and reads back as plain PEM.
func TestCACertForms(t *testing.T) {
	one, two := testKey().CertificatePEM(), otherKey().CertificatePEM()
	m, _ := ready(t, nil)
	for _, f := range pemForms(t, one+two) {
		t.Run(f.name, func(t *testing.T) {
			m.t = t
			m.write("config", map[string]any{settings.FieldCACert: "", settings.FieldClientSecret: "secret"})
			m.write("config", map[string]any{settings.FieldCACert: f.text, settings.FieldClientSecret: "secret"})
			if got := m.read("config")[settings.FieldCACert]; got != one+two {
				t.Errorf("got %q, want plain PEM", got)
			}
			// The same CAs in another form are no other CAs, so the client secret need not come along.
			m.write("config", map[string]any{settings.FieldCACert: "\n" + one + two})
		})
	}
}

// A block that is left out in silence is missed only when every token fails.
func TestCACertRefusesWhatItDoesNotRead(t *testing.T) {
	m, _ := ready(t, nil)
	one, private := testKey().CertificatePEM(), testKeyPEM(t)
	before := asJSON(t, m.read("config"))
	tests := []struct {
		name, text string
		want       []string
	}{
		{"first block cut off at its end", one[:300] + "\n" + one, []string{"ca_cert", "PEM block 1 has no -----END line"}},
		{"first block cut off at its beginning", one[300:] + one, []string{"ca_cert", "PEM block 1 has no -----BEGIN line"}},
		{"second block cut off", one + one[:300], []string{"ca_cert", "PEM block 2 has no -----END line"}},
		{"third block damaged", one + one + strings.Replace(one, "\nM", "\n!", 1), []string{"ca_cert", "PEM block 3 holds something else than base64"}},
		{"second block in another form, and cut off", one + strings.ReplaceAll(one[:300], "\n", `\n`), []string{"ca_cert", "PEM block 2"}},
		{"private key behind a certificate", one + private, []string{"ca_cert", "a private key as PEM block 2"}},
		{"private key labelled as a certificate", one + strings.ReplaceAll(private, "PRIVATE KEY", "CERTIFICATE"), []string{"ca_cert", "a private key as PEM block 2"}},
		{"nothing", " \n", []string{"ca_cert", "-----BEGIN CERTIFICATE-----"}},
		{"longer than 64 KiB", strings.Repeat(one, 64), []string{"ca_cert", "64 KiB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.t = t
			data := map[string]any{settings.FieldCACert: tt.text, settings.FieldClientSecret: "secret"}
			m.wantRefused(logical.UpdateOperation, "config", data, tt.want...)
			if got := asJSON(t, m.read("config")); got != before {
				t.Errorf("config: got %s, want %s as before", got, before)
			}
		})
	}
}

// otherKey is a key pair that testKey has nothing to do with.
var otherKey = sync.OnceValue(func() *signingkey.Key {
	key, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "other", Now: time.Now(), TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	return key
})

func pemBlock(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func tempFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in.pem")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// fromPKCS12 returns what `openssl pkcs12 -nodes` prints of a key and its certificate.
func fromPKCS12(t *testing.T, private, certificate string) string {
	t.Helper()
	file := tempFile(t, openssl(t, "pkcs12", "-export", "-inkey", tempFile(t, private), "-in", tempFile(t, certificate), "-passout", "pass:x"))
	return openssl(t, "pkcs12", "-in", file, "-nodes", "-passin", "pass:x")
}
