package workfronttest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestApplications(t *testing.T) {
	f := newFixture(t, Options{}) // has one
	wanted := Application{ClientID: "marked-id", ClientSecret: "marked-secret", CustomerID: "marked-customer"}
	fatal(t, f.ImportApplication(wanted))
	if err := f.ImportApplication(wanted); err == nil {
		t.Error("the same client id was accepted twice")
	}
	seen := map[string]bool{}
	for range maxApplications - 2 {
		a, err := f.CreateApplication()
		fatal(t, err)
		for _, id := range []string{a.ClientID, a.ClientSecret, a.CustomerID} {
			if len(id) != 32 || seen[id] {
				t.Errorf("got %q, want 32 digits of its own", id)
			}
			seen[id] = true
		}
	}
	if _, err := f.CreateApplication(); err == nil {
		t.Error("an eleventh application was accepted")
	}
	fatal(t, f.RemoveApplication("marked-id"))
	if _, err := f.CreateApplication(); err != nil {
		t.Error(err)
	}
	for _, a := range []Application{{}, {"a", "b", ""}, {"a", "", "c"}, {"", "b", "c"}} {
		if err := f.ImportApplication(a); err == nil || !strings.Contains(err.Error(), "needs") {
			t.Errorf("%+v: got %v", a, err)
		}
	}
}

func TestSetupOfWhatIsNotThere(t *testing.T) {
	f := newFixture(t, Options{})
	_, addSecret := f.AddSecret("nobody")
	_, addKey := f.AddPublicKey("nobody", f.User.ID, f.key.certificate)
	_, addKeyOfNobody := f.AddPublicKey(f.App.ClientID, "nobody", f.key.certificate)
	_, addKeyTwice := f.AddPublicKey(f.App.ClientID, f.User.ID, f.key.public)
	for name, err := range map[string]error{
		"RemoveApplication":            f.RemoveApplication("nobody"),
		"AddSecret":                    addSecret,
		"RemoveSecret, application":    f.RemoveSecret("nobody", f.App.ClientSecret),
		"RemoveSecret, secret":         f.RemoveSecret(f.App.ClientID, "none"),
		"AddPublicKey, application":    addKey,
		"AddPublicKey, user":           addKeyOfNobody,
		"AddPublicKey, twice":          addKeyTwice,
		"RemovePublicKey, application": f.RemovePublicKey("nobody", f.fingerprint),
		"RemovePublicKey, key":         f.RemovePublicKey(f.App.ClientID, "none"),
		"AddUser, no id":               f.AddUser(User{}),
		"AddUser, twice":               f.AddUser(User{ID: f.User.ID}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFingerprintIsOfThePublicKey(t *testing.T) {
	f := newFixture(t, Options{})
	block, _ := pem.Decode([]byte(f.key.public))
	sum := sha256.Sum256(block.Bytes)
	if want := hex.EncodeToString(sum[:]); f.fingerprint != want {
		t.Errorf("got %s, want %s", f.fingerprint, want)
	}
	got, err := f.AddPublicKey(f.App.ClientID, f.colleague, f.key.public)
	if err != nil || got != f.fingerprint {
		t.Errorf("as a bare key of another user: got %s, %v", got, err)
	}
	if got, err := parsePublicKey("\r\n" + strings.ReplaceAll(f.key.certificate, "\n", "\r\n")); err != nil || got.fingerprint != f.fingerprint {
		t.Errorf("with CRLF: %v", err)
	}
}

func TestAddPublicKeyRefuses(t *testing.T) {
	f := newFixture(t, Options{})
	small := exec.Command("openssl", "req", "-x509", "-sha256", "-nodes", "-newkey", "rsa:1024", "-keyout", os.DevNull, "-subj", "/CN=small")
	weak, err := small.Output()
	fatal(t, err)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	tests := []struct{ name, pem, want string }{
		{"nothing", "", "not a PEM block"},
		{"text", "certificate", "not a PEM block"},
		{"text before", "Subject: CN\n" + f.key.certificate, "not a PEM block"},
		{"text after", f.key.certificate + "end", "more than one PEM block"},
		{"two", f.key.certificate + f.key.public, "more than one PEM block"},
		{"private key", f.key.private, `type "PRIVATE KEY"`},
		{"PKCS#1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&f.key.rsa.PublicKey)), `type "RSA PUBLIC KEY"`},
		{"broken certificate", block("CERTIFICATE", []byte("x")), "parse certificate"},
		{"broken key", block("PUBLIC KEY", []byte("x")), "parse"},
		{"EC", ecPublicKey(t), "not an RSA key"},
		{"1024 bits", string(weak), "1024 bits are fewer than 2048"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := f.AddPublicKey(f.App.ClientID, f.User.ID, test.pem)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
