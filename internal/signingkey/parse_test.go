package signingkey_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
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
		{"text behind it", file("pkcs8.key") + "and more", "2048"},
		{"indented in quotes", `"  ` + escaped(file("pkcs8.key"), "\n  ") + `"`, "2048"},
		{"base64 of the file", base64.StdEncoding.EncodeToString([]byte(file("pkcs1.key"))), "2048"},
		{"PKCS#1 labelled as PKCS#8", relabel(file("pkcs1.key"), "RSA PRIVATE KEY", "PRIVATE KEY"), "2048"},
		{"PKCS#8 labelled as PKCS#1", relabel(file("pkcs8.key"), "PRIVATE KEY", "RSA PRIVATE KEY"), "2048"},
		{"with its public key", file("pkcs8.key") + file("public.pem"), "2048"},
		{"behind its public key in PKCS#1", file("public-pkcs1.pem") + file("pkcs8.key"), "2048"},
		{"with a certificate signing request", file("pkcs8.key") + file("request.csr"), "2048"},
		{"with parameters", file("pkcs8.key") + file("dsa.params"), "2048"},
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

func TestParsePrivateKeyOfTheLargestSize(t *testing.T) {
	key, err := signingkey.ParsePrivateKey(hugeKey(t, signingkey.MaxBits))
	if err != nil {
		t.Fatal(err)
	}
	if bits := key.N.BitLen(); bits != signingkey.MaxBits {
		t.Errorf("got %d bits, want %d", bits, signingkey.MaxBits)
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

// opensshKey generates a key as ssh-keygen writes it by default, in the shape of the format alone: a file that has the
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
		{"DSA in its own form", file("dsa-traditional.key"), makeRSA},
		{"RSA-PSS", file("pss.key"), makeRSA}, // RS256 is PKCS #1 v1.5, for which such a key must not be used
		{"RSA of 2047 bits", file("rsa2047.key"), "2047 bits"},
		{"RSA of 1024 bits", file("rsa1024.key"), "1024 bits"},
		{"RSA of 512 bits", file("rsa512.key"), "512 bits"},
		{"PKCS#1 of 1024 bits", file("rsa1024-pkcs1.key"), "1024 bits"},
		{"PKCS#1 of 512 bits", file("rsa512-pkcs1.key"), "512 bits"},
		{"RSA of more than 8192 bits", hugeKey(t, 8193), "between 2048 and 8192"},
		{"certificate", cert, "a certificate where the private key belongs"},
		{"certificate, what to give", cert, beginning},
		{"certificate request", file("request.csr"), "a certificate signing request where the private key belongs"},
		{"public key", file("public.pem"), "public key where the private key belongs"},
		{"public key in PKCS#1", file("public-pkcs1.pem"), "public key where the private key belongs"},
		{"public key, what to give", file("public.pem"), beginning},
		{"two keys", key + file("rsa3072.key"), "more than one"},
		{"the same key twice", key + key, "more than one"},
		{"in PKCS#8 and in PKCS#1", key + file("pkcs1.key"), "more than one"},
		{"RSA and EC", key + file("ec.key"), "more than one"},
		{"EC and RSA", file("ec-traditional.key") + key, "more than one"},
		{"encrypted and not", file("encrypted-pkcs8.key") + key, "more than one"},
		{"OpenSSH's and PEM", key + opensshKey(), "more than one"},
		{"damaged key behind it", key + strings.Replace(key, "\nM", "\n!", 1), "PEM block 2"},
		{"with another certificate", key + ownKey().CertificatePEM(), "certificate of another key"},
		{"with other certificates", key + ownKey().CertificatePEM() + file("ec.crt"), "certificate of another key"},
		{"with another public key", key + publicPEM(t), "public key of another key"},
		{"with an EC public key", key + file("ec-public.pem"), "public key of another key"},
		{"with a damaged public key", key + block("PUBLIC KEY", []byte("\x30\x04\x30\x00\x03\x00")), "public key of another key"},
		{"with two certificates of its own", key + cert + file("second.crt"), "two certificates"},
		{"with a certificate with a negative serial number", key + file("negative.crt"), "PEM block 2 has a negative serial number"},
		{"encrypted, with its certificate", cert + file("encrypted-pkcs8.key"), "openssl pkey -in"},
		{"PKCS#12", file("private.p12"), "openssl pkcs12 -in private.p12 -nodes"},
		{"PKCS#12 in base64", base64.StdEncoding.EncodeToString([]byte(file("private.p12"))), "a PKCS#12 file"},
		{"PKCS#7", file("certificate.p7b"), beginning},
		{"JWK", `{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}`, "a JSON Web Key"},
		{".NET's XML", "<RSAKeyValue><Modulus>AQAB</Modulus></RSAKeyValue>", "FromXmlString"},
		{"PuTTY", "PuTTY-User-Key-File-3: ssh-rsa\n", "puttygen"},
		{"UTF-16", "\xff\xfe-\x00-\x00", "iconv"},
		{"OpenSSH public key", "ssh-rsa AAAAB3NzaC1yc2E me@host", "an OpenSSH public key where the private key belongs"},
		{"certificate and public key", cert + file("public.pem"), "a certificate where the private key belongs"},
		{"OpenSSH", opensshKey(), "ssh-keygen -p -m PEM"},
		{"damaged base64", strings.Replace(key, "\nM", "\n!", 1), "PEM"},
		{"a line is missing", withoutLine(key, 5), "damaged"},
		{"a line is missing in PKCS#1", withoutLine(file("pkcs1.key"), 5), "damaged"},
		{"a number of PKCS#1 is another", block("RSA PRIVATE KEY", []byte("\x30\x1b"+strings.Repeat("\x02\x01\x01", 9))), "damaged"},
		{"something else in the shape of PKCS#8", block("PRIVATE KEY", []byte("\x30\x07\x02\x01\x00\x30\x00\x04\x00")), "damaged"},
		{"RSA in PKCS#8 with nothing inside", block("PRIVATE KEY", hollowPKCS8(t)), "damaged"},
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

// hollowPKCS8 returns PKCS#8 that says that it is RSA and holds no key.
func hollowPKCS8(t *testing.T) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}}, []byte{0x30, 0}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func publicPEM(t *testing.T) string {
	t.Helper()
	text, err := ownKey().PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func withoutLine(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(append(lines[:n:n], lines[n+1:]...), "")
}

func relabel(text, from, to string) string { return strings.ReplaceAll(text, from+"-----", to+"-----") }

// hugeKey generates a key of that many bits from more than two primes (RFC 8017, section 3.2), because to find two large ones
// takes too long.
func hugeKey(t *testing.T, bits int) string {
	t.Helper()
	const count = 13
	one, e := big.NewInt(1), big.NewInt(65537)
	type other struct{ Prime, Exp, Coeff *big.Int }
	for {
		n, phi := big.NewInt(1), big.NewInt(1)
		primes := make([]*big.Int, count)
		for i := range primes {
			size := bits / count
			if i == count-1 {
				size = bits - n.BitLen() + 1 // the product of two numbers has as many bits as both, or one fewer
			}
			p, err := rand.Prime(rand.Reader, size)
			if err != nil {
				t.Fatal(err)
			}
			primes[i] = p
			n.Mul(n, p)
			phi.Mul(phi, new(big.Int).Sub(p, one))
		}
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || n.BitLen() != bits {
			continue // 65537 divides one of the primes less one, or there is one bit too many
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

// The advice must work: what it says to run generates a key that is accepted.
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
