package workfronttest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxAssertionLife bounds a JWT's life. Adobe recommends "a few minutes" (oauth-app-jwt-flow) and names no
	// limit; ten minutes is the longest that a well-behaved client asks for.
	maxAssertionLife = 10 * time.Minute
	// clockSkew is how far a client's clock may be ahead. It forgives no JWT that has expired.
	clockSkew = 30 * time.Second
)

// assertion is a JWT whose form was checked: header, claims and times, but not yet whom it speaks for.
type assertion struct {
	issuer, subject string
	digest          [sha256.Size]byte
	signature       []byte
}

// parseAssertion checks all of a JWT that needs no knowledge of the application. Its errors hold nothing of the JWT.
func parseAssertion(token string, now time.Time) (*assertion, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("jwt: %d parts, not 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, fmt.Errorf("jwt: part %d is not unpadded base64url", i+1)
		}
	}
	if err := checkHeader(decoded[0]); err != nil {
		return nil, fmt.Errorf("jwt header: %w", err)
	}
	a := &assertion{
		digest:    sha256.Sum256([]byte(parts[0] + "." + parts[1])),
		signature: decoded[2],
	}
	if err := a.readClaims(decoded[1], now); err != nil {
		return nil, fmt.Errorf("jwt claims: %w", err)
	}
	return a, nil
}

// checkHeader wants {"alg":"RS256","typ":"JWT"}, typ being optional (RFC 7519, 5.1). Nothing else is documented, and
// members such as crit, jwk or jku would have to be understood (RFC 7515, 4.1).
func checkHeader(data []byte) error {
	members, err := parseObject(data)
	if err != nil {
		return err
	}
	alg, err := stringMember(members, "alg")
	if err != nil {
		return err
	}
	if alg != "RS256" {
		return errors.New("alg is not RS256")
	}
	if _, ok := members["typ"]; ok {
		typ, err := stringMember(members, "typ")
		if err != nil {
			return err
		}
		if typ != "JWT" {
			return errors.New("typ is not JWT")
		}
	}
	return onlyMembers(members, "alg", "typ")
}

// readClaims wants iss, sub and exp, as documented, and permits the iat that a public client sends besides.
func (a *assertion) readClaims(data []byte, now time.Time) error {
	claims, err := parseObject(data)
	if err != nil {
		return err
	}
	if a.issuer, err = stringMember(claims, "iss"); err != nil {
		return err
	}
	if a.subject, err = stringMember(claims, "sub"); err != nil {
		return err
	}
	exp, err := timeMember(claims, "exp")
	if err != nil {
		return err
	}
	unix := float64(now.UnixNano()) / 1e9
	if exp <= unix {
		return errors.New("exp has passed")
	}
	if exp > unix+(maxAssertionLife+clockSkew).Seconds() {
		return errors.New("exp is too far ahead")
	}
	if _, ok := claims["iat"]; ok {
		iat, err := timeMember(claims, "iat")
		if err != nil {
			return err
		}
		if iat > unix+clockSkew.Seconds() {
			return errors.New("iat is in the future")
		}
		if iat >= exp {
			return errors.New("iat is not before exp")
		}
	}
	return onlyMembers(claims, "iss", "sub", "exp", "iat")
}

// signedBy reports whether the key made the signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3).
func (a *assertion) signedBy(k *publicKey) bool {
	return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, a.digest[:], a.signature) == nil
}

// parseObject reads one JSON object. Unlike json.Unmarshal it refuses duplicate members and tells names that differ
// in case apart: two parsers that disagree on either are how JWTs get forged.
func parseObject(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("malformed JSON")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("malformed JSON")
		}
		key := name.(string) // an object's member names are strings, or Token fails
		if _, ok := members[key]; ok {
			return nil, errors.New("duplicate member")
		}
		members[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("malformed JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}

func stringMember(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", fmt.Errorf("%s is missing", name)
	}
	var value string
	if raw[0] != '"' || json.Unmarshal(raw, &value) != nil || value == "" {
		return "", fmt.Errorf("%s is not a non-empty string", name)
	}
	return value, nil
}

// timeMember reads a NumericDate (RFC 7519, 2): seconds since 1970, possibly with a fraction.
func timeMember(members map[string]json.RawMessage, name string) (float64, error) {
	raw, ok := members[name]
	if !ok {
		return 0, fmt.Errorf("%s is missing", name)
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not a number", name)
	}
	return value, nil
}

func onlyMembers(members map[string]json.RawMessage, allowed ...string) error {
	known := 0
	for _, name := range allowed {
		if _, ok := members[name]; ok {
			known++
		}
	}
	if known != len(members) {
		return errors.New("unknown member")
	}
	return nil
}
