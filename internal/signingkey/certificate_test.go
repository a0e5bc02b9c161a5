package signingkey_test

import (
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// A certificate that comes with the key is its certificate.
func TestParseKeyFile(t *testing.T) {
	file := made(t)
	key, cert, chain := file("pkcs8.key"), file("certificate_pub.crt"), ownKey().CertificatePEM()+file("ec.crt")
	tests := []struct {
		name, text string
		want       bool // a certificate
	}{
		{"key alone", key, false},
		{"key and its public key", key + file("public.pem"), false},
		{"key and certificate", key + cert, true},
		{"certificate and key", cert + key, true},
		{"key, certificate and chain", key + cert + chain, true},
		{"chain, certificate and key", chain + cert + key, true},
		{"certificate twice", cert + key + cert, true},
		{"all in base64", base64.StdEncoding.EncodeToString([]byte(key + cert + chain)), true},
		{"what openssl pkcs12 prints", file("printed.pem"), true},
		{"trusted certificate", key + file("trusted.crt"), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			private, beside, err := signingkey.ParseKeyFile(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if !private.Equal(parsePKCS8(t, file("private.key"))) {
				t.Error("got another key than openssl made")
			}
			if (beside != nil) != tt.want {
				t.Fatalf("got a certificate: %t, want %t", beside != nil, tt.want)
			}
			if block, _ := pem.Decode([]byte(cert)); tt.want && string(beside.Raw) != string(block.Bytes) {
				t.Error("got another certificate than the key's")
			}
		})
	}
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
		{"text behind it", cert + "and more"},
		{"twice", cert + cert},
		{"in front of its chain", cert + file("ec.crt") + ownKey().CertificatePEM()},
		{"behind its chain", ownKey().CertificatePEM() + file("ec.crt") + cert},
		{"with a CA that is not read", cert + file("negative.crt")},
		{"with its private key", file("private.key") + cert},
		{"with its public key", cert + file("public.pem")},
		{"trusted certificate", file("trusted.crt")},
		{"DER in base64", base64.StdEncoding.EncodeToString(block.Bytes)},
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
		{"chain of another key", ownKey().CertificatePEM() + file("ec.crt"), "another key"},
		{"two of the key", cert + file("second.crt"), "two certificates of the private key"},
		{"negative serial number", file("negative.crt"), "PEM block 1 has a negative serial number"},
		{"negative serial number, behind another key's", file("ec.crt") + file("negative.crt"), "PEM block 2 has a negative serial number"},
		{"encrypted private key", file("encrypted-pkcs8.key"), beginning},
		{"PKCS#7", file("certificate.p7b"), "openssl pkcs7"},
		{"PKCS#12", file("private.p12"), "-nokeys"},
		{"OpenSSH", opensshKey(), beginning},
		{"JWK", `{"kty":"RSA"}`, beginning},
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
