package pemtext_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

// FuzzNormalise looks for a text whose normal form is not plain PEM or has another normal form, for a text that is
// read and normalised differently, and for errors that repeat what they are about.
func FuzzNormalise(f *testing.F) {
	o := made()
	for _, form := range forms {
		f.Add(form.of(privatePEM() + certificatePEM()))
	}
	for label, der := range map[string][]byte{
		"RSA PRIVATE KEY": o.pkcs1, "EC PRIVATE KEY": o.ec, "PUBLIC KEY": o.public, "RSA PUBLIC KEY": o.pkcs1Public, "CERTIFICATE REQUEST": o.request,
		"TRUSTED CERTIFICATE": append(bytes.Clone(o.certificate), 0x30, 0), "X": o.pkcs8, "DH PARAMETERS": {0x30, 0}, "OPENSSH PRIVATE KEY": {1},
		"CERTIFICATE": negative(), "PKCS7": {1}, "ENCRYPTED PRIVATE KEY": {1},
	} {
		f.Add(pemOf(label, der))
		f.Add(string(der))
	}
	for _, text := range []string{
		"", jwk, xml, putty, utf16LE(privatePEM()), throughJSON(string(o.pkcs8)), privatePEM()[:700], "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n-----END A-----",
		"-----BEGIN CERTIFICATE----------END CERTIFICATE-----", "--BEGIN CERTIFICATE--", `\u002d\u002d---BEGIN A-----`, "\x30\x09\x02\x01\x03\x30\x04\x02\x02", "ssh-rsa AAAA",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		blocks, err := pemtext.Read(text)
		if err == nil && len(blocks) == 0 {
			t.Fatal("got neither a block nor an error")
		}
		normal, normalErr := pemtext.Normalise(text)
		authorities, authoritiesErr := pemtext.Certificates(text)
		for _, err := range []error{err, normalErr, authoritiesErr} {
			if err != nil {
				checkError(t, err, text)
			}
		}
		if authoritiesErr == nil && authorities != "" {
			if again, err := pemtext.Certificates(authorities); err != nil || again != authorities {
				t.Errorf("what was made of certificates is not read as such: %q, %v", again, err)
			}
			if authorities != normal {
				t.Errorf("certificates: got %q, want the normal form %q", authorities, normal)
			}
		}
		if normalErr != nil {
			return
		}
		if err != nil || normal != pemtext.Encode(blocks...) {
			t.Fatalf("normal form: got %q, want that of the blocks that were read", normal)
		}
		if again, err := pemtext.Normalise(normal); err != nil || again != normal {
			t.Fatalf("normal form of the normal form: got %q, %v, want %q", again, err, normal)
		}
		rest := []byte(normal)
		for i, b := range blocks {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil || !bytes.Equal(block.Bytes, b.DER) || len(block.Headers) > 0 {
				t.Fatalf("block %d: got %v, want what was read", i+1, block)
			}
		}
		if len(rest) > 0 {
			t.Errorf("got %q behind the blocks", rest)
		}
	})
}

// checkError checks that an error is one line of what this package says, and nothing of what it was given.
func checkError(t *testing.T, err error, text string) {
	t.Helper()
	const size = 16
	said := err.Error()
	if len(said) > 400 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("got %q, want one short line", said)
	}
	for i := 0; i+size <= len(text); i += size {
		part := text[i : i+size]
		if strings.ContainsAny(part, " -\"'") {
			continue // may be words of ours
		}
		if _, err := base64.RawStdEncoding.DecodeString(part); err == nil && strings.Contains(said, part) {
			t.Errorf("got %q, want no %q in it", said, part)
		}
	}
}
