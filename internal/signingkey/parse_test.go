package signingkey_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

func TestParsePrivateKeyAccepts(t *testing.T) {
	file := made(t)
	escaped := func(s, with string) string { return strings.ReplaceAll(s, "\n", with) }
	tests := []struct{ name, text, wantBits string }{
		{"Adobe's own command", file("private.key"), "2048"},
		{"PKCS#1", file("pkcs1.key"), "2048"},
		{"PKCS#8", file("pkcs8.key"), "2048"},
		{"3072 bits", file("rsa3072.key"), "3072"},
		{"CRLF", escaped(file("pkcs8.key"), "\r\n"), "2048"},
		{"PKCS#1 with CRLF", escaped(file("pkcs1.key"), "\r\n"), "2048"},
		{`literal \n on one line`, escaped(file("pkcs8.key"), `\n`), "2048"},
		{`PKCS#1 with literal \n on one line`, escaped(file("pkcs1.key"), `\n`), "2048"},
		{`literal \r\n on one line`, escaped(file("pkcs8.key"), `\r\n`), "2048"},
		// As `echo "$PRIVATE_KEY" > file` leaves it.
		{`literal \n on one line that ends`, escaped(file("pkcs8.key"), `\n`) + "\n", "2048"},
		{`literal \n on one line that ends in CRLF`, escaped(file("pkcs8.key"), `\n`) + "\r\n", "2048"},
		{"no new line at the end", strings.TrimSpace(file("pkcs8.key")), "2048"},
		{"white space around", "\n \n" + file("pkcs8.key") + " \r\n\t\n", "2048"},
		{"text in front", "Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n" + file("pkcs8.key"), "2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signingkey.ParsePrivateKey(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			want := file("private.key")
			if tt.wantBits == "3072" {
				want = file("rsa3072.key")
			}
			if !got.Equal(parsePKCS8(t, want)) {
				t.Error("got another key than openssl made")
			}
			if err := got.Validate(); err != nil {
				t.Errorf("got %v, want a valid key", err)
			}
		})
	}
}

func parsePKCS8(t *testing.T, text string) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("openssl made no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

// opensshKey makes a key as ssh-keygen writes it by default, in the shape of the format alone: a file that has the
// magic and nothing readable is all that is looked at.
func opensshKey() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: []byte("openssh-key-v1\x00\x00\x00\x00\x04none and so on")}))
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	file := made(t)
	key, cert := file("pkcs8.key"), file("certificate_pub.crt")
	const makeRSA = "openssl req -x509 -sha256 -nodes -newkey rsa:2048"
	const beginning = "-----BEGIN PRIVATE KEY-----"
	tests := []struct{ name, text, want string }{
		{"empty", "", "is not PEM"},
		{"white space", " \n\t", "is not PEM"},
		{"not PEM", "correct horse battery staple", "is not PEM"},
		{"file name", "private.key", "@file"},
		{"base64 without its frame", strings.Join(strings.Split(strings.TrimSpace(key), "\n")[1:10], "\n"), "-----BEGIN"},
		{"no end", key[:len(key)/2], "-----END"},
		{"no beginning", key[len(key)/2:], "-----BEGIN"},
		{"encrypted PKCS#8", file("encrypted-pkcs8.key"), "openssl pkey -in"},
		{"encrypted PKCS#1", file("encrypted-pkcs1.key"), "openssl pkey -in"},
		{"EC", file("ec.key"), "elliptic curve"},
		{"EC, the command", file("ec.key"), makeRSA},
		{"EC in its own form", file("ec-traditional.key"), "elliptic curve"},
		{"EC in its own form, the command", file("ec-traditional.key"), makeRSA},
		{"EC with its parameters", file("ec-with-parameters.key"), "RSA"},
		{"EC of an unusual curve", file("ec-secp256k1.key"), makeRSA},
		{"Ed25519", file("ed25519.key"), "Ed25519"},
		{"Ed25519, the command", file("ed25519.key"), makeRSA},
		{"Ed448", file("ed448.key"), makeRSA},
		{"X25519", file("x25519.key"), makeRSA},
		{"DSA", file("dsa.key"), makeRSA},
		{"DSA in its own form", file("dsa-traditional.key"), beginning},
		{"RSA-PSS", file("pss.key"), makeRSA}, // RS256 is PKCS #1 v1.5, for which such a key must not be used
		{"RSA of 2047 bits", file("rsa2047.key"), "2047 bits"},
		{"RSA of 1024 bits", file("rsa1024.key"), "1024 bits"},
		{"RSA of 512 bits", file("rsa512.key"), "512 bits"},
		{"PKCS#1 of 1024 bits", file("rsa1024-pkcs1.key"), "1024 bits"},
		{"PKCS#1 of 512 bits", file("rsa512-pkcs1.key"), "512 bits"},
		{"RSA of more than 8192 bits", hugeKey(t), "between 2048 and 8192"},
		{"certificate", cert, "certificate where the private key belongs"},
		{"certificate, what to give", cert, beginning},
		{"certificate request", file("request.csr"), beginning},
		{"public key", file("public.pem"), "public key where the private key belongs"},
		{"public key in PKCS#1", file("public-pkcs1.pem"), "public key where the private key belongs"},
		{"public key, what to give", file("public.pem"), beginning},
		{"two keys", key + file("rsa3072.key"), "more than one"},
		{"key and certificate", key + cert, "more than one"},
		{"certificate and key", cert + key, "more than one"},
		{"text behind it", key + "and more", "behind"},
		{"damaged key behind it", key + strings.Replace(key, "\nM", "\n!", 1), "alone"},
		{"OpenSSH", opensshKey(), "ssh-keygen -p -m PEM"},
		{"damaged base64", strings.Replace(key, "\nM", "\n!", 1), "PEM"},
		{"a line is missing", withoutLine(key, 5), "damaged"},
		{"a line is missing in PKCS#1", withoutLine(file("pkcs1.key"), 5), "damaged"},
		{"PKCS#1 labelled PKCS#8", relabel(file("pkcs1.key"), "RSA PRIVATE KEY", "PRIVATE KEY"), "damaged"},
		{"empty block", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signingkey.ParsePrivateKey(tt.text)
			if err == nil || got != nil {
				t.Fatalf("got a key: %t, %v, want an error alone", got != nil, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			checkSilence(t, err, tt.text)
		})
	}
}

func withoutLine(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(append(lines[:n:n], lines[n+1:]...), "")
}

func relabel(text, from, to string) string { return strings.ReplaceAll(text, from+"-----", to+"-----") }

// hugeKey makes a key of about 8320 bits from more than two primes (RFC 8017, section 3.2), because to find two of
// 4160 bits takes too long.
func hugeKey(t *testing.T) string {
	t.Helper()
	const bits, count = 8320, 13
	one, e := big.NewInt(1), big.NewInt(65537)
	type other struct{ Prime, Exp, Coeff *big.Int }
	for {
		n, phi := big.NewInt(1), big.NewInt(1)
		primes := make([]*big.Int, count)
		for i := range primes {
			p, err := rand.Prime(rand.Reader, bits/count)
			if err != nil {
				t.Fatal(err)
			}
			primes[i] = p
			n.Mul(n, p)
			phi.Mul(phi, new(big.Int).Sub(p, one))
		}
		d := new(big.Int).ModInverse(e, phi)
		if d == nil {
			continue // 65537 divides one of the primes less one
		}
		exp := func(p *big.Int) *big.Int { return new(big.Int).Mod(d, new(big.Int).Sub(p, one)) }
		p, q := primes[0], primes[1]
		product := new(big.Int).Mul(p, q)
		var others []other
		for _, r := range primes[2:] {
			others = append(others, other{r, exp(r), new(big.Int).ModInverse(product, r)})
			product.Mul(product, r)
		}
		der, err := asn1.Marshal(struct {
			Version                     int
			N, E, D, P, Q, DP, DQ, QInv *big.Int
			Others                      []other
		}{1, n, e, d, p, q, exp(p), exp(q), new(big.Int).ModInverse(q, p), others})
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
}

// The advice must work: what it says to run makes a key that is accepted.
func TestAdviceForEncryptedKeysWorks(t *testing.T) {
	file := made(t)
	for _, name := range []string{"encrypted-pkcs8.key", "encrypted-pkcs1.key"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "private.key"), []byte(file(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := signingkey.ParsePrivateKey(file(name))
		args := command(t, err)
		// The passphrase is asked for on a terminal, which there is none of here.
		cmd := exec.Command(args[0], append(args[1:], "-passin", "pass:x")...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		decrypted, err := os.ReadFile(filepath.Join(dir, "decrypted.key"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := signingkey.ParsePrivateKey(string(decrypted))
		if err != nil || !got.Equal(parsePKCS8(t, file("private.key"))) {
			t.Errorf("%s: got %v, want the key", name, err)
		}
	}
}

// command returns what stands between the first pair of backquotes.
func command(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		t.Fatal("got no error, want one")
	}
	parts := strings.Split(err.Error(), "`")
	if len(parts) < 3 {
		t.Fatalf("got %q, want a command in it", err)
	}
	return strings.Fields(parts[1])
}

func TestParseCertificateAccepts(t *testing.T) {
	file := made(t)
	cert := file("certificate_pub.crt")
	private := parsePKCS8(t, file("private.key"))
	block, _ := pem.Decode([]byte(cert))
	tests := []struct{ name, text string }{
		{"Adobe's own command", cert},
		{"CRLF", strings.ReplaceAll(cert, "\n", "\r\n")},
		{`literal \n on one line`, strings.ReplaceAll(cert, "\n", `\n`)},
		{"no new line at the end", strings.TrimSpace(cert)},
		{"text in front", "subject=CN = adobe\nissuer=CN = adobe\n" + cert},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signingkey.ParseCertificate(tt.text, private)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Certificate.Raw) != string(block.Bytes) {
				t.Error("got another certificate than was given")
			}
			if !got.Private.Equal(private) {
				t.Error("got another private key than was given")
			}
		})
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	file := made(t)
	cert := file("certificate_pub.crt")
	const beginning = "-----BEGIN CERTIFICATE-----"
	tests := []struct{ name, text, want string }{
		{"another key's", ownKey().CertificatePEM(), "another key"},
		{"an EC key's", file("ec.crt"), "another key"},
		{"empty", "", "is not PEM"},
		{"not PEM", "certificate_pub.crt", "is not PEM"},
		{"private key", file("private.key"), beginning},
		{"public key", file("public.pem"), beginning},
		{"certificate request", file("request.csr"), beginning},
		{"damaged base64", strings.Replace(cert, "\nM", "\n!", 1), "PEM"},
		{"a line is missing", withoutLine(cert, 3), "damaged"},
		{"no end", cert[:len(cert)/2], "-----END"},
		{"twice", cert + cert, "more than one"},
		{"chain", cert + file("ec.crt"), "more than one"},
		{"with its private key", cert + file("private.key"), "more than one"},
		{"text behind it", cert + "and more", "behind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signingkey.ParseCertificate(tt.text, parsePKCS8(t, file("private.key")))
			if err == nil || got != nil {
				t.Fatalf("got %v, %v, want an error alone", got, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			checkSilence(t, err, tt.text)
		})
	}
}
