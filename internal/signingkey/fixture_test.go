package signingkey_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

var now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

var ownKey = sync.OnceValue(func() *signingkey.Key {
	k, err := signingkey.Generate(2048, signingkey.Certification{CommonName: "workfront default", Now: now, TTL: 365 * 24 * time.Hour})
	if err != nil {
		panic(err) // every test needs it, and TestGenerate would say no more
	}
	return k
})

var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system's source of randomness is broken
	}
	return k
})

// openssl runs the program that operators have, so that its files are read, not what this project takes for them.
func openssl(dir, stdin string, args ...string) (string, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the tests need openssl: openssl %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out), nil
}

// files are what openssl makes, by name, each with the arguments that make it.
type files map[string]string

var opensslFiles = sync.OnceValues(func() (files, error) {
	dir, err := os.MkdirTemp("", "signingkey")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made := files{}
	for _, f := range []struct{ names, args string }{
		// Adobe's own command ("Create an OAuth2 application", generate keys), without its questions.
		{"private.key certificate_pub.crt", "req -x509 -sha256 -nodes -newkey rsa:2048 -keyout private.key -out certificate_pub.crt -subj /CN=adobe"},
		{"pkcs1.key", "rsa -in private.key -traditional -out pkcs1.key"},
		{"pkcs8.key", "pkcs8 -topk8 -nocrypt -in pkcs1.key -out pkcs8.key"},
		{"public.pem", "rsa -in private.key -pubout -out public.pem"},
		{"public-pkcs1.pem", "rsa -in private.key -RSAPublicKey_out -out public-pkcs1.pem"},
		{"encrypted-pkcs8.key", "pkcs8 -topk8 -in private.key -passout pass:x -out encrypted-pkcs8.key"},
		{"encrypted-pkcs1.key", "rsa -in private.key -traditional -aes128 -passout pass:x -out encrypted-pkcs1.key"},
		{"request.csr", "req -new -key private.key -subj /CN=adobe -out request.csr"},
		{"second.crt", "req -x509 -sha256 -key private.key -subj /CN=second -out second.crt"},
		{"negative.crt", "req -x509 -sha256 -key private.key -subj /CN=negative -set_serial -5 -out negative.crt"},
		{"trusted.crt", "x509 -in certificate_pub.crt -addtrust serverAuth -trustout -out trusted.crt"},
		{"private.p12", "pkcs12 -export -inkey private.key -in certificate_pub.crt -passout pass:x -out private.p12"},
		{"printed.pem", "pkcs12 -in private.p12 -passin pass:x -nodes -out printed.pem"},
		{"certificate.p7b", "crl2pkcs7 -nocrl -certfile certificate_pub.crt -out certificate.p7b"},
		{"rsa3072.key", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out rsa3072.key"},
		{"rsa2047.key", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2047 -out rsa2047.key"},
		{"rsa1024.key", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.key"},
		{"rsa512.key", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:512 -out rsa512.key"},
		{"rsa1024-pkcs1.key", "rsa -in rsa1024.key -traditional -out rsa1024-pkcs1.key"},
		{"rsa512-pkcs1.key", "rsa -in rsa512.key -traditional -out rsa512-pkcs1.key"},
		{"pss.key", "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key"},
		{"ec.key", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key"},
		{"ec-public.pem", "pkey -in ec.key -pubout -out ec-public.pem"},
		{"ec-traditional.key", "ec -in ec.key -out ec-traditional.key"},
		{"ec-with-parameters.key", "ecparam -name prime256v1 -genkey -out ec-with-parameters.key"},
		{"ec-secp256k1.key", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out ec-secp256k1.key"},
		{"ec.crt", "req -x509 -sha256 -key ec.key -subj /CN=ec -out ec.crt"},
		{"ed25519.key", "genpkey -algorithm ED25519 -out ed25519.key"},
		{"ed448.key", "genpkey -algorithm ED448 -out ed448.key"},
		{"x25519.key", "genpkey -algorithm X25519 -out x25519.key"},
		{"dsa.params", "dsaparam -out dsa.params 1024"},
		{"dsa.key", "genpkey -paramfile dsa.params -out dsa.key"},
		{"dsa-traditional.key", "pkey -in dsa.key -traditional -out dsa-traditional.key"},
	} {
		if _, err := openssl(dir, "", strings.Fields(f.args)...); err != nil {
			return nil, err
		}
		for _, name := range strings.Fields(f.names) {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			made[name] = string(text)
		}
	}
	return made, nil
})

func made(t *testing.T) func(name string) string {
	t.Helper()
	all, err := opensslFiles()
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) string {
		t.Helper()
		text := all[name]
		if text == "" {
			t.Fatalf("openssl made no %s", name)
		}
		return text
	}
}

// checkSilence fails if an error holds a part of what was given: a line of it, or any 12 characters of one.
func checkSilence(t *testing.T, err error, input string) {
	t.Helper()
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		// What begins and ends a block is no secret, and errors quote it to say what is wanted.
		if strings.HasPrefix(line, "-----") && strings.HasSuffix(line, "-----") && strings.Count(line, "-----") == 2 {
			continue
		}
		const size = 12
		for i := 0; i+size <= len(line); i++ {
			part := line[i : i+size]
			if strings.Contains(part, "-----") || strings.Contains(part, "PRIVATE KEY") {
				continue
			}
			if strings.Contains(err.Error(), part) {
				t.Errorf("got %q, want no part of the input in it, such as %q", err, part)
				return
			}
		}
	}
}

func block(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}
