package session

import (
	"bytes"
	"context"
	"encoding/pem"
	"slices"
	"strings"
	"sync"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// Trust is what the configuration trusts with sessions at the moment.
type Trust struct {
	BaseURL    string
	CACert     string // PEM
	SecretID   string // names the client secret
	APIVersion string // that calls with a session use, for the host in BaseURL
	// MaxConnections is the limit of calls to that host at a time.
	MaxConnections int
}

// logoutEndpoint returns where calls with s go, and whom to trust there: always the host that issued it. apiVersion is the
// configured one, "" if the configuration does not name that host. The error is a failure of storage; the session must
// not be sent then, because the certificates that it pins may have been removed from the configuration.
func (b *Broker) logoutEndpoint(
	ctx context.Context, v ledger.View, s *ledger.Session,
) (endpoint workfront.Endpoint, apiVersion string, err error) {
	endpoint = workfront.Endpoint{BaseURL: s.Endpoint.BaseURL}
	t, err := b.trust(ctx, v.Storage())
	if err != nil {
		return endpoint, "", err
	}
	configured := t != nil && t.BaseURL == endpoint.BaseURL
	if configured && t.MaxConnections > 0 {
		// A process that has not issued a session there, or not lately, does not know it.
		b.clients.SetMaxConnections(t.BaseURL, t.MaxConnections)
	}
	if configured && t.SecretID == s.SecretID {
		// Written by someone who knows the client secret that the session was started with. It replaces what the session pins: a
		// CA that was removed may be compromised.
		endpoint.CACert = t.CACert
		return endpoint, t.APIVersion, nil
	}
	pinned, err := b.pinned(ctx, v, s)
	switch {
	case err != nil:
		return endpoint, "", err
	case !configured:
		endpoint.CACert = pinned
		return endpoint, "", nil
	}
	endpoint.CACert = inBoth(pinned, t.CACert)
	return endpoint, t.APIVersion, nil
}

// pinned returns the CA certificates that a session pins. Where they are missing or damaged, that is none, so only the
// system's roots count. The error is a failure of storage.
func (b *Broker) pinned(ctx context.Context, v ledger.View, s *ledger.Session) (caCert string, err error) {
	if s.Trust == "" {
		return s.Endpoint.CACert, nil
	}
	if caCert, ok := b.trusts.get(s.Trust); ok {
		return caCert, nil
	}
	caCert, err = v.Trust(ctx, s.Trust)
	switch {
	case ledger.IsUnreadable(err), err == nil && caCert == "":
		b.logger.Warn("the CA certificates that a session pins are missing or damaged; trusting the system's only",
			"session_id", s.ID(), "base_url", s.Endpoint.BaseURL, "error", err)
		return "", nil
	case err != nil:
		return "", err
	}
	b.trusts.note(s.Trust, caCert)
	return caCert, nil
}

// inBoth returns the certificates of a that are in b as well, compared by what they are and not by how they are written.
func inBoth(a, b string) string {
	if a == b {
		return a
	}
	var both strings.Builder
	trusted := certificates(b)
	for _, der := range certificates(a) {
		if slices.ContainsFunc(trusted, func(other []byte) bool { return bytes.Equal(der, other) }) {
			both.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		}
	}
	return both.String()
}

// certificates returns the DER form of what is in caCert.
func certificates(caCert string) [][]byte {
	var all [][]byte
	for rest := []byte(caCert); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		all = append(all, block.Bytes)
	}
}

// keepTrust sees that storage holds CA certificates before a session names them, and returns their ID.
func (b *Broker) keepTrust(ctx context.Context, v ledger.View, caCert string) (id string, err error) {
	id = ledger.TrustID(caCert)
	if _, stored := b.trusts.get(id); stored || id == "" {
		return id, nil
	}
	kept, err := v.Trust(ctx, id)
	if err != nil && !ledger.IsDamaged(err) {
		return "", err
	}
	if kept == "" {
		if err := v.SetTrust(ctx, caCert); err != nil {
			return "", err
		}
	}
	b.trusts.note(id, caCert)
	return id, nil
}

// maxTrusts is how many trusts are remembered. A mount uses one for months.
const maxTrusts = 8

// trusts remembers CA certificates that storage holds, by their ID, so that they are neither written for each session nor read
// for each logout. Its zero value is empty. It is safe for concurrent use.
type trusts struct {
	mu     sync.Mutex
	stored map[string]string
}

func (t *trusts) get(id string) (caCert string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	caCert, ok = t.stored[id]
	return caCert, ok
}

func (t *trusts) note(id, caCert string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stored == nil || len(t.stored) >= maxTrusts {
		t.stored = make(map[string]string)
	}
	t.stored[id] = caCert
}

// drop forgets all: after a fault, storage may hold anything.
func (t *trusts) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored = nil
}
