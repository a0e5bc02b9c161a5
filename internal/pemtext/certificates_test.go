package pemtext_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/pemtext"
)

func TestCertificates(t *testing.T) {
	one, two := certificatePEM(), pemOf("CERTIFICATE", made().second)
	tests := []struct{ name, text, want string }{
		{"none", "", ""},
		{"one", one, one},
		{"two", one + two, one + two},
		{"text in front and in between", "subject=CN = CA\n" + one + "\n# two\n" + two + "end\n", one + two},
		{"other labels", pemOf("X509 CERTIFICATE", made().certificate) + pemOf("TRUSTED CERTIFICATE", made().second), one + two},
	}
	for _, tt := range tests {
		for _, form := range forms {
			if tt.text == "" && form.name != "as it is" {
				continue // ca_cert that is not empty and holds nothing is a slip
			}
			t.Run(tt.name+"/"+form.name, func(t *testing.T) {
				got, err := pemtext.Certificates(form.of(tt.text))
				if err != nil || got != tt.want {
					t.Errorf("got %q, %v, want %q", got, err, tt.want)
				}
			})
		}
	}
}

func TestCertificatesRefuses(t *testing.T) {
	good, key := certificatePEM(), privatePEM()
	damaged := strings.Replace(good, "\nM", "\n!", 1)
	// Its shape is a certificate's, its content is not.
	hollow := pemOf("CERTIFICATE", []byte("\x30\x15\x30\x0f\xa0\x00\x02\x01\x01\x30\x00\x30\x00\x30\x00\x30\x00\x30\x00\x30\x00\x03\x00"))
	tests := []struct{ name, text, want string }{
		{"white space", " \n", "-----BEGIN CERTIFICATE-----"},
		{"a file name", "@ca.pem", "-----BEGIN CERTIFICATE-----"},
		{"private key", key, "a private key as PEM block 1"},
		{"private key behind a certificate", good + key, "a private key as PEM block 2"},
		{"private key before a certificate", key + good, "a private key as PEM block 1"},
		{"private key labelled as a certificate", good + pemOf("CERTIFICATE", made().pkcs8), "a private key as PEM block 2"},
		{"encrypted private key", good + pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), "an encrypted private key as PEM block 2"},
		{"public key", pemOf("PUBLIC KEY", made().public), "a public key as PEM block 1"},
		{"request", good + pemOf("CERTIFICATE REQUEST", made().request), "a certificate signing request as PEM block 2"},
		{"another kind", good + pemOf("X509 CRL", []byte("x")), "a PEM block of another kind as PEM block 2"},
		{"first one cut off", good[30:] + good, "PEM block 1 has no -----BEGIN line"},
		{"first one without an end", good[:200] + "\n" + good, "PEM block 1 has no -----END line"},
		{"second one damaged", good + damaged, "PEM block 2 holds something else than base64"},
		{"second one hollow", good + hollow, "PEM block 2 holds no readable certificate"},
		{"negative serial number", good + pemOf("CERTIFICATE", negative()), "PEM block 2 has a negative serial number"},
		{"PKCS#7", pkcs7PEM(t), "openssl pkcs7"},
		{"PKCS#12", pkcs12(t), "-nokeys"},
		{"UTF-16", utf16LE(good), "iconv"},
		{"DER through JSON", throughJSON(string(made().certificate)), "openssl x509 -inform DER"},
		// Without the settings it would be trusted for what they may except.
		{"trusted certificate", good + trusted(t), "openssl x509 -in trusted.pem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pemtext.Certificates(tt.text)
			if err == nil || got != "" {
				t.Fatalf("got %q, %v, want an error alone", got, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			checkSilence(t, err, tt.text)
		})
	}
}

func TestParseCertificate(t *testing.T) {
	got, err := pemtext.ParseCertificate(pemtext.Block{Kind: pemtext.Certificate, DER: made().certificate})
	if err != nil || string(got.Raw) != string(made().certificate) {
		t.Errorf("got %v, want the certificate", err)
	}
	v1 := version1(negative())
	if _, err := x509.ParseCertificate(v1); err == nil {
		t.Fatal("x509 reads negative serial numbers, so it need not be said that they are refused")
	}
	smallest := []byte(strings.Replace(string(negative()), "\x02\x03\xff", "\x02\x03\x80", 1))
	for name, der := range map[string][]byte{"version 3": negative(), "version 1": v1, "the smallest of its length": smallest} {
		_, err := pemtext.ParseCertificate(pemtext.Block{Kind: pemtext.Certificate, DER: der})
		if err == nil || !strings.Contains(err.Error(), "negative serial number") {
			t.Errorf("%s: got %v, want it to say what is wrong", name, err)
		}
	}
	for name, der := range map[string][]byte{"nothing": nil, "hollow": {0x30, 0}, "no number": []byte("\x30\x04\x30\x02\x02\x00")} {
		_, err := pemtext.ParseCertificate(pemtext.Block{Kind: pemtext.Certificate, DER: der})
		if err == nil || !strings.Contains(err.Error(), "no readable certificate") {
			t.Errorf("%s: got %v, want it to say what is wrong", name, err)
		}
	}
}
