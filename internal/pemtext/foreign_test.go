package pemtext_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

// write puts a file into dir and returns its path.
func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// ssl makes a file of the test's key and certificate by a command of openssl's.
func ssl(command string) func(*testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		dir := t.TempDir()
		write(t, dir, "private.key", privatePEM())
		write(t, dir, "certificate.pem", certificatePEM())
		shell(t, dir, "openssl "+command+" -out made")
		return read(t, dir, "made")
	}
}

var (
	pkcs12        = ssl("pkcs12 -export -inkey private.key -in certificate.pem -passout pass:x")
	pkcs7         = ssl("crl2pkcs7 -nocrl -certfile certificate.pem -outform DER")
	pkcs7PEM      = ssl("crl2pkcs7 -nocrl -certfile certificate.pem")
	encrypted     = ssl("pkcs8 -topk8 -in private.key -passout pass:x")
	encryptedDER  = ssl("pkcs8 -topk8 -in private.key -passout pass:x -outform DER")
	encryptedOld  = ssl("rsa -in private.key -traditional -aes128 -passout pass:x")
	trusted       = ssl("x509 -in certificate.pem -addtrust serverAuth -trustout")
	pkcs12Printed = func(t *testing.T) string {
		dir := t.TempDir()
		write(t, dir, "private.p12", pkcs12(t))
		shell(t, dir, pemtext.PKCS12.ToPrivateKey()+" -passin pass:x")
		return read(t, dir, "private.key")
	}
)

const (
	jwk   = `{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "c2VjcmV0"}`
	xml   = `<?xml version="1.0"?><RSAKeyValue><Modulus>c2VjcmV0</Modulus></RSAKeyValue>`
	putty = "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\nPrivate-Lines: 1\nc2VjcmV0\n"
)

func text(s string) func(*testing.T) string { return func(*testing.T) string { return s } }

func TestReadKnowsForeignForms(t *testing.T) {
	mangled := func(of func(*testing.T) string) func(*testing.T) string {
		return func(t *testing.T) string { return throughJSON(of(t)) }
	}
	encoded := func(of func(*testing.T) string) func(*testing.T) string {
		return func(t *testing.T) string { return wrapped(base64Of(of(t)), 64) }
	}
	tests := []struct {
		name string
		text func(*testing.T) string
		want pemtext.Kind
	}{
		{"PKCS#12", pkcs12, pemtext.PKCS12},
		{"PKCS#12 through JSON", mangled(pkcs12), pemtext.PKCS12},
		{"PKCS#12 in base64", encoded(pkcs12), pemtext.PKCS12},
		{"PKCS#12 without a MAC", ssl("pkcs12 -export -nomac -inkey private.key -in certificate.pem -passout pass:x"), pemtext.PKCS12},
		{"PKCS#7", pkcs7PEM, pemtext.PKCS7},
		{"PKCS#7 in DER", pkcs7, pemtext.PKCS7},
		{"PKCS#7 through JSON", mangled(pkcs7), pemtext.PKCS7},
		{"PKCS#7, labelled as CMS", text(strings.ReplaceAll(pemOf("CMS", []byte("x")), "\n", "\r\n")), pemtext.PKCS7},
		{"encrypted PKCS#8", encrypted, pemtext.Encrypted},
		{"encrypted PKCS#8 in DER", encryptedDER, pemtext.Encrypted},
		{"encrypted PKCS#8 in base64", encoded(encryptedDER), pemtext.Encrypted},
		{"encrypted PKCS#1", encryptedOld, pemtext.Encrypted},
		{"encrypted PKCS#1, blanks for line ends", func(t *testing.T) string { return strings.ReplaceAll(encryptedOld(t), "\n", " ") }, pemtext.Encrypted},
		{"OpenSSH", text(pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00"))), pemtext.OpenSSH},
		{"OpenSSH public key", text("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 me@host\n"), pemtext.SSHPublic},
		{"OpenSSH public key, Ed25519", text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO9f me@host\n"), pemtext.SSHPublic},
		{"OpenSSH public key, ECDSA", text("ecdsa-sha2-nistp256 AAAAE2VjZHNh me@host\n"), pemtext.SSHPublic},
		{"JWK", text(jwk), pemtext.JWK},
		{"JWK in base64", text(base64Of(jwk)), pemtext.JWK},
		{"JWK in quotes", text(asJSON(`[` + jwk + `]`)[2:]), pemtext.JWK},
		{".NET's XML", text(xml[len(`<?xml version="1.0"?>`):]), pemtext.DotNet},
		{".NET's XML with its head", text(xml), pemtext.DotNet},
		{".NET's XML of RSAParameters", text(strings.ReplaceAll(xml, "RSAKeyValue", "RSAParameters")), pemtext.DotNet},
		{".NET's RSAParameters as JSON", text(`{"D":"c2VjcmV0","Exponent":"AQAB","Modulus":"c2VjcmV0"}`), pemtext.DotNet},
		{"PuTTY", text(putty), pemtext.PuTTY},
		{"UTF-16", text(utf16LE(privatePEM())), pemtext.UTF16},
		{"UTF-16, big endian", text("\xfe\xff\x00-\x00-"), pemtext.UTF16},
		{"UTF-16 without its mark", text(utf16LE(privatePEM())[2:]), pemtext.UTF16},
		{"UTF-16 through JSON", text(throughJSON(utf16LE(privatePEM()))), pemtext.UTF16},
		{"UTF-16 in base64", text(base64Of(utf16LE(privatePEM()))), pemtext.UTF16},
		{"DER through JSON", text(throughJSON(string(made().pkcs8))), pemtext.Binary},
		{"DER that is cut off", text(string(made().pkcs8[:600])), pemtext.Binary},
		{"zeros", text("a\x00bcdefgh"), pemtext.Binary},
		{"parameters", text(pemOf("DH PARAMETERS", []byte("\x30\x06\x02\x01\x05\x02\x01\x02"))), pemtext.Parameters},
		{"a list of revoked certificates", text(pemOf("X509 CRL", []byte("\x30\x0a\x30\x04\x30\x00\x30\x00\x30\x00\x03\x00"))), pemtext.Other},
		{"another label", text(pemOf("PGP PRIVATE KEY BLOCK", []byte("x"))), pemtext.Other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text(t)
			got, err := pemtext.Read(text)
			if err != nil || len(got) != 1 || got[0].Kind != tt.want || got[0].DER != nil {
				t.Fatalf("got %v, %v, want %s and no DER", kindsOf(got), err, tt.want)
			}
			if tt.want.Plain() {
				t.Error("it counts as plain")
			}
			normal, err := pemtext.Normalise(text)
			if err == nil || normal != "" || !strings.Contains(err.Error(), tt.want.String()) {
				t.Errorf("normal form: got a text: %t, %v, want an error that says %q", normal != "", err, tt.want)
			}
		})
	}
}

func TestNormaliseSaysWhichBlock(t *testing.T) {
	got, err := pemtext.Normalise(certificatePEM() + pemOf("OPENSSH PRIVATE KEY", []byte("x")))
	if want := "OpenSSH's own format as PEM block 2"; err == nil || got != "" || !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, %v, want an error that says %q", got, err, want)
	}
}

// What `openssl pkcs12 -nodes` prints, with its attributes.
func TestReadTakesWhatPKCS12Prints(t *testing.T) {
	printed := pkcs12Printed(t)
	if !strings.Contains(printed, "Bag Attributes") {
		t.Fatalf("openssl printed no attributes")
	}
	got, err := pemtext.Read(printed)
	want := []pemtext.Kind{pemtext.Certificate, pemtext.PKCS8}
	if kinds := kindsOf(got); err != nil || !slices.Equal(kinds, want) {
		t.Errorf("got %v, %v, want %v", kinds, err, want)
	}
}

// The advice must work: the command that an error names makes a file that is read.
func TestConversionCommandsWork(t *testing.T) {
	const asked = " -passin pass:x" // the passphrase is asked for on a terminal, which there is none of here
	tests := []struct {
		name, command, tool, from string
		file                      func(*testing.T) string
		extra, to                 string
		want                      pemtext.Kind
	}{
		{"encrypted PKCS#8", pemtext.Encrypted.ToPrivateKey(), "openssl", "private.key", encrypted, asked, "decrypted.key", pemtext.PKCS8},
		{"encrypted PKCS#1", pemtext.Encrypted.ToPrivateKey(), "openssl", "private.key", encryptedOld, asked, "decrypted.key", pemtext.PKCS8},
		{"PKCS#12", pemtext.PKCS12.ToPrivateKey(), "openssl", "private.p12", pkcs12, asked, "private.key", pemtext.PKCS8},
		{"PKCS#12, certificate", pemtext.PKCS12.ToCertificate(), "openssl", "certificate.p12", pkcs12, asked, "certificate.pem", pemtext.Certificate},
		{"PKCS#7", pemtext.PKCS7.ToCertificate(), "openssl", "certificate.p7b", pkcs7PEM, "", "certificate.pem", pemtext.Certificate},
		{"trusted certificate", pemtext.TrustedCertificate.ToCertificate(), "openssl", "trusted.pem", trusted, "", "certificate.pem", pemtext.Certificate},
		{"DER", pemtext.Binary.ToPrivateKey(), "openssl", "private.der", text(string(made().pkcs8)), "", "private.key", pemtext.PKCS8},
		{"DER, certificate", pemtext.Binary.ToCertificate(), "openssl", "certificate.der", text(string(made().certificate)), "", "certificate.pem", pemtext.Certificate},
		{"UTF-16", pemtext.UTF16.ToPrivateKey(), "iconv", "utf16.key", text(utf16LE(privatePEM())), "", "private.key", pemtext.PKCS8},
		{"UTF-16, certificate", pemtext.UTF16.ToCertificate(), "iconv", "utf16.pem", text(utf16LE(certificatePEM())), "", "certificate.pem", pemtext.Certificate},
		{"OpenSSH", pemtext.OpenSSH.ToPrivateKey(), "ssh-keygen", "private.key", openSSH, "", "private.key", pemtext.PKCS1},
		{"JWK", pemtext.JWK.ToPrivateKey(), "node", "private.jwk", keyAsJWK, "", "private.key", pemtext.PKCS8},
	}
	for _, tt := range tests {
		if _, err := exec.LookPath(tt.tool); err != nil && tt.tool != "openssl" {
			t.Logf("%s: %s is not installed here", tt.name, tt.tool)
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tt.from, tt.file(t))
			shell(t, dir, tt.command+tt.extra)
			got, err := pemtext.Read(read(t, dir, tt.to))
			if err != nil || !slices.Contains(kindsOf(got), tt.want) {
				t.Errorf("got %v, %v, want %s", kindsOf(got), err, tt.want)
			}
		})
	}
}

func openSSH(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	shell(t, dir, "ssh-keygen -q -t rsa -b 2048 -N '' -f made")
	made := read(t, dir, "made")
	if got, err := pemtext.Read(made); err != nil || got[0].Kind != pemtext.OpenSSH {
		t.Fatalf("got %v, %v, want OpenSSH's own format", kindsOf(got), err)
	}
	return made
}

func keyAsJWK(t *testing.T) string {
	t.Helper()
	key := made().key
	number := func(b []byte) string {
		return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(base64Of(string(b)))
	}
	return asJSON(map[string]string{
		"kty": "RSA", "n": number(key.N.Bytes()), "e": "AQAB", "d": number(key.D.Bytes()),
		"p": number(key.Primes[0].Bytes()), "q": number(key.Primes[1].Bytes()),
		"dp": number(key.Precomputed.Dp.Bytes()), "dq": number(key.Precomputed.Dq.Bytes()), "qi": number(key.Precomputed.Qinv.Bytes()),
	})
}

// Every kind has a name, and what cannot be used as it is, a command or nothing to convert.
func TestKinds(t *testing.T) {
	for kind := pemtext.PKCS8; kind <= pemtext.Other; kind++ {
		name := kind.String()
		if !strings.HasPrefix(name, "a ") && !strings.HasPrefix(name, "an ") && !strings.HasPrefix(name, "text ") && !strings.HasPrefix(name, "parameters ") {
			t.Errorf("kind %d: got the name %q, want one with its article", kind, name)
		}
		private := slices.Contains([]pemtext.Kind{pemtext.PKCS8, pemtext.PKCS1, pemtext.EC, pemtext.DSA, pemtext.Encrypted, pemtext.OpenSSH}, kind)
		if kind.Private() != private {
			t.Errorf("%s: private: got %t, want %t", kind, kind.Private(), private)
		}
	}
}
