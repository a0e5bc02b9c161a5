package workfront_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// decodePart reads one part of a JWT by hand: with the library that made it, a mistake could pass unseen.
func decodePart(t *testing.T, part string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func TestSign(t *testing.T) {
	signer := workfront.NewSigner(signingKey()) // one for all: what it signed before must not come out again
	tests := []struct {
		name   string
		claims workfront.Claims
		want   map[string]any
	}{
		{
			"whole seconds",
			workfront.Claims{Issuer: "customer", Subject: "user", ExpiresAt: time.Unix(1800000000, 0)},
			map[string]any{"iss": "customer", "sub": "user", "exp": 1800000000.0},
		},
		{
			"fractions of a second are cut off",
			workfront.Claims{Issuer: "customer", Subject: "user", ExpiresAt: time.Unix(1800000000, 999999999)},
			map[string]any{"iss": "customer", "sub": "user", "exp": 1800000000.0},
		},
		{
			"another time zone",
			workfront.Claims{Issuer: "customer", Subject: "user", ExpiresAt: time.Unix(1800000000, 0).In(time.FixedZone("", 3600))},
			map[string]any{"iss": "customer", "sub": "user", "exp": 1800000000.0},
		},
		{
			"another customer",
			workfront.Claims{Issuer: "other", Subject: "user", ExpiresAt: time.Unix(1800000000, 0)},
			map[string]any{"iss": "other", "sub": "user", "exp": 1800000000.0},
		},
		{
			"another user",
			workfront.Claims{Issuer: "other", Subject: "another", ExpiresAt: time.Unix(1800000000, 0)},
			map[string]any{"iss": "other", "sub": "another", "exp": 1800000000.0},
		},
		{
			"a second later",
			workfront.Claims{Issuer: "other", Subject: "another", ExpiresAt: time.Unix(1800000001, 0)},
			map[string]any{"iss": "other", "sub": "another", "exp": 1800000001.0},
		},
		{
			"text that JSON escapes",
			workfront.Claims{Issuer: `<"customer"&>`, Subject: "üser\n", ExpiresAt: time.Unix(1, 0)},
			map[string]any{"iss": `<"customer"&>`, "sub": "üser\n", "exp": 1.0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signed, err := signer.Sign(tt.claims)
			if err != nil {
				t.Fatal(err)
			}
			parts := strings.Split(signed, ".")
			if len(parts) != 3 {
				t.Fatalf("got %d parts, want 3", len(parts))
			}
			if got, want := decodePart(t, parts[0]), map[string]any{"alg": "RS256", "typ": "JWT"}; !maps.Equal(got, want) {
				t.Errorf("header: got %v, want %v", got, want)
			}
			if got := decodePart(t, parts[1]); !maps.Equal(got, tt.want) {
				t.Errorf("claims: got %v, want %v", got, tt.want)
			}
			signature, err := base64.RawURLEncoding.DecodeString(parts[2])
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
			if err := rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, digest[:], signature); err != nil {
				t.Errorf("the signature does not verify: %v", err)
			}
			again, err := workfront.NewSigner(signingKey()).Sign(tt.claims)
			if err != nil || again != signed {
				t.Errorf("signing the same again: got %q, %v, want %q", again, err, signed)
			}
		})
	}
}

func TestSignReportsAKeyThatCannotSign(t *testing.T) {
	// 15 = 3 * 5 is too short for any digest.
	tiny := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(15), E: 3}, D: big.NewInt(3), Primes: []*big.Int{big.NewInt(3), big.NewInt(5)}}
	got, err := workfront.NewSigner(tiny).Sign(workfront.Claims{Issuer: "customer", Subject: "user", ExpiresAt: time.Unix(1800000000, 0)})
	if err == nil || got != "" {
		t.Fatalf("got %q, %v, want an error alone", got, err)
	}
	if want := "sign jwt: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", err, want)
	}
}
