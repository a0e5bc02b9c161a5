package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// trustPrefix is where the CA certificates are that sessions pin. There are few, because only sessions that are issued under
// a stored configuration name one, and they are never removed: no write has to know which sessions still name them.
const trustPrefix = "trust/"

// trust is the form in storage.
type trust struct {
	Version int    `json:"version"`
	CACert  string `json:"ca_cert"` // PEM
}

var errTrustID = errors.New("its certificates are not those that its name stands for")

// TrustID returns the name under which CA certificates are stored, "" for none. It is derived from them, so what a name stands
// for never changes.
func TrustID(caCert string) string {
	if caCert == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(caCert))
	return hex.EncodeToString(sum[:])
}

// SetTrust stores CA certificates under their TrustID. It comes before the first session that names them.
func (v View) SetTrust(ctx context.Context, caCert string) error {
	return v.store.write(ctx, trustPrefix+TrustID(caCert), trust{Version: version, CACert: caCert})
}

// Trust returns the CA certificates of that ID, "" if they are not stored. The error is a *DamagedError, a *NewerError or a
// failure of storage.
func (v View) Trust(ctx context.Context, id string) (caCert string, err error) {
	key := trustPrefix + id
	t, err := read[trust](ctx, v.store, key)
	if t == nil {
		return "", err
	}
	if TrustID(t.CACert) != id {
		return "", &DamagedError{key, errTrustID}
	}
	return t.CACert, nil
}

// IsTrust reports whether a storage key is one of SetTrust.
func IsTrust(key string) bool { return strings.HasPrefix(key, trustPrefix) }
