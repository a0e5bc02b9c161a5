package pemtext_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

// objects are what the tests write down in various forms, as DER.
type objects struct {
	key                                                    *rsa.PrivateKey
	pkcs8, pkcs1, public, pkcs1Public, certificate, second []byte
	ec, ecPKCS8, request                                   []byte
}

var made = sync.OnceValue(func() objects {
	var o objects
	var err error
	must := func(der []byte, failed error) []byte {
		if failed != nil {
			panic(failed) // every test needs it
		}
		return der
	}
	if o.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	o.ec = must(x509.MarshalECPrivateKey(ec))
	o.ecPKCS8 = must(x509.MarshalPKCS8PrivateKey(ec))
	must(nil, err)
	o.pkcs8 = must(x509.MarshalPKCS8PrivateKey(o.key))
	o.pkcs1 = x509.MarshalPKCS1PrivateKey(o.key)
	o.public = must(x509.MarshalPKIXPublicKey(&o.key.PublicKey))
	o.pkcs1Public = x509.MarshalPKCS1PublicKey(&o.key.PublicKey)
	certify := func(name string, public, signer any) []byte {
		now := time.Now()
		template := &x509.Certificate{
			// 0x7f: with another first bit, the number is negative.
			SerialNumber: big.NewInt(0x7f0000), Subject: pkix.Name{CommonName: name}, NotBefore: now, NotAfter: now.Add(time.Hour),
		}
		return must(x509.CreateCertificate(rand.Reader, template, template, public, signer))
	}
	o.certificate = certify("first", &o.key.PublicKey, o.key)
	o.second = certify("second", &ec.PublicKey, ec)
	o.request = must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "r"}}, o.key))
	return o
})

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func privatePEM() string     { return pemOf("PRIVATE KEY", made().pkcs8) }
func certificatePEM() string { return pemOf("CERTIFICATE", made().certificate) }

// negative returns a certificate with a negative serial number. Its signature no longer fits, which nobody looks at.
func negative() []byte {
	serial := []byte{0x02, 0x03, 0x7f, 0, 0}
	return []byte(strings.Replace(string(made().certificate), string(serial), "\x02\x03\xff\x00\x00", 1))
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return string(text)
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// throughJSON returns what is left of bytes once a client has sent them as a JSON string.
func throughJSON(content string) string {
	var text string
	if err := json.Unmarshal([]byte(asJSON(content)), &text); err != nil {
		panic(err)
	}
	return text
}

// utf16LE encodes ASCII.
func utf16LE(text string) string {
	var encoded strings.Builder
	encoded.WriteString("\xff\xfe")
	for i := range len(text) {
		encoded.WriteByte(text[i])
		encoded.WriteByte(0)
	}
	return encoded.String()
}

// shell runs a command line in dir, as an operator does.
func shell(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// checkSilence fails if err repeats any twelve characters in a row of text, but for lines that begin or end a block: they
// are no secret, and errors quote them to say what is wanted.
func checkSilence(t *testing.T, err error, text string) {
	t.Helper()
	const size = 12
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "BEGIN ") || strings.Contains(line, "END ") {
			continue
		}
		for i := 0; i+size <= len(line); i++ {
			if part := line[i : i+size]; strings.Contains(err.Error(), part) {
				t.Errorf("got %q, want nothing of the text in it, such as %q", err, part)
				return
			}
		}
	}
}

func kindsOf(blocks []pemtext.Block) []pemtext.Kind {
	var kinds []pemtext.Kind
	for _, b := range blocks {
		kinds = append(kinds, b.Kind)
	}
	return kinds
}
