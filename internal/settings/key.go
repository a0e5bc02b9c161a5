package settings

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// Where a key came from.
const (
	sourceGenerated = "generated"
	sourceImported  = "imported"
)

// Defaults and limits of a key that is generated.
const (
	DefaultKeyBits        = 2048
	DefaultCertificateTTL = 365 * 24 * time.Hour
	minCertificateTTL     = time.Hour
)

// keySizes are the sizes in common use; anything larger costs more at each token than it protects.
var keySizes = []int{2048, 3072, 4096}

// storedKey is a signing key in storage.
type storedKey struct {
	Version     int       `json:"version"`
	PrivateKey  string    `json:"private_key"` // PKCS#8 PEM
	Certificate string    `json:"certificate"` // PEM
	Source      string    `json:"source"`
	CreatedAt   time.Time `json:"created_at"`
}

// parse returns the key itself.
func (k *storedKey) parse() (*signingkey.Key, error) {
	private, err := signingkey.ParsePrivateKey(k.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("stored private key %w", err)
	}
	key, err := signingkey.ParseCertificate(k.Certificate, private)
	if err != nil {
		return nil, fmt.Errorf("stored certificate %w", err)
	}
	return key, nil
}

// Key is a signing key, and what is known of it.
type Key struct {
	*signingkey.Key
	Source    string
	CreatedAt time.Time
	UsedBy    []string // the paths whose settings sign with it
}

// Key returns the key of that name, or nil.
func (s *Store) Key(ctx context.Context, storage logical.Storage, name string) (*Key, error) {
	stored, err := getKey(ctx, storage, name)
	if err != nil || stored == nil {
		return nil, err
	}
	return describeKey(ctx, storage, name, stored)
}

func describeKey(ctx context.Context, storage logical.Storage, name string, stored *storedKey) (*Key, error) {
	key, err := stored.parse()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	users, err := keyUsers(ctx, storage, name)
	if err != nil {
		return nil, err
	}
	return &Key{Key: key, Source: stored.Source, CreatedAt: stored.CreatedAt, UsedBy: users}, nil
}

func getKey(ctx context.Context, s logical.Storage, name string) (*storedKey, error) {
	return getJSON[storedKey](ctx, s, KeyPrefix+name)
}

// keyUsers returns the paths whose settings sign with the key of that name.
func keyUsers(ctx context.Context, s logical.Storage, name string) ([]string, error) {
	users := []string{}
	c, err := getConfig(ctx, s)
	if err != nil {
		return nil, err
	}
	if c != nil && c.WithDefaults().Key == name {
		users = append(users, ConfigKey)
	}
	roles, err := list(ctx, s, RolePrefix)
	if err != nil {
		return nil, err
	}
	for _, roleName := range roles {
		r, err := getRole(ctx, s, roleName)
		if err != nil {
			return nil, err
		}
		if r != nil && r.Key == name {
			users = append(users, RolePrefix+roleName)
		}
	}
	return users, nil
}

// GenerateKey generates a key pair of that many bits and a self-signed certificate, and stores them under a name that is free.
// Of changes, it takes common_name and certificate_ttl.
func (s *Store) GenerateKey(ctx context.Context, storage logical.Storage, name string, bits int, changes Changes) (*Key, error) {
	c, err := s.certification(name, changes)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(keySizes, bits) {
		return nil, BadField(FieldKeyBits, "must be one of %v", keySizes)
	}
	s.admin.Lock()
	defer s.admin.Unlock()
	if err := checkNewKey(ctx, storage, name); err != nil {
		return nil, err
	}
	key, err := signingkey.Generate(bits, c)
	if err != nil {
		return nil, err
	}
	return s.addKey(ctx, storage, name, key, sourceGenerated)
}

// ImportKey stores an existing private key under a name that is free. Without a certificate one is made, as GenerateKey does.
func (s *Store) ImportKey(ctx context.Context, storage logical.Storage, name, private, certificate string, changes Changes) (*Key, error) {
	c, err := s.certification(name, changes)
	if err != nil {
		return nil, err
	}
	key, err := readImport(private, certificate, c, changes)
	if err != nil {
		return nil, err
	}
	s.admin.Lock()
	defer s.admin.Unlock()
	if err := checkNewKey(ctx, storage, name); err != nil {
		return nil, err
	}
	return s.addKey(ctx, storage, name, key, sourceImported)
}

// certification reads what a certificate says that is made here.
func (s *Store) certification(name string, changes Changes) (signingkey.Certification, error) {
	c := signingkey.Certification{Now: s.now()}
	err := changes.apply(map[string]setter{
		FieldCommonName:     setText(FieldCommonName, &c.CommonName, maxCommonNameLength, false),
		FieldCertificateTTL: setDuration(FieldCertificateTTL, &c.TTL, minCertificateTTL, MaxDuration),
	})
	setDefault(&c.CommonName, "workfront "+name)
	setDefault(&c.TTL, DefaultCertificateTTL)
	return c, err
}

// readImport reads the key, and makes the certificate if none is given.
func readImport(privatePEM, certPEM string, c signingkey.Certification, changes Changes) (*signingkey.Key, error) {
	if privatePEM == "" {
		return nil, BadField(FieldPrivateKey, "is required; give the PEM file, for example private_key=@private.key")
	}
	for _, f := range []struct{ name, value string }{{FieldPrivateKey, privatePEM}, {FieldCertificate, certPEM}} {
		if len(f.value) > maxPEMLength {
			return nil, BadField(f.name, "is longer than 64 KiB; give one PEM block alone")
		}
	}
	private, err := signingkey.ParsePrivateKey(privatePEM)
	if err != nil {
		return nil, BadField(FieldPrivateKey, "%s", err)
	}
	if certPEM == "" {
		return signingkey.SelfSign(private, c)
	}
	for _, field := range []string{FieldCommonName, FieldCertificateTTL} {
		if _, sent := changes[field]; sent {
			return nil, BadField(field, "is for a certificate that is made here, but one is given; leave one of the two out")
		}
	}
	key, err := signingkey.ParseCertificate(certPEM, private)
	if err != nil {
		return nil, BadField(FieldCertificate, "%s", err)
	}
	return key, nil
}

// checkNewKey checks that the name of a new key is free: a key is never overwritten, because its certificate may be in use at
// Workfront. The caller holds admin.
func checkNewKey(ctx context.Context, s logical.Storage, name string) error {
	existing, err := getKey(ctx, s, name)
	if err != nil {
		return err
	}
	if existing != nil {
		return BadField(FieldName, "%q belongs to a key that exists, and a key is never overwritten; choose another name, "+
			"and point config's key to it once Workfront has its certificate", name)
	}
	return nil
}

// addKey stores a new key. The caller holds admin.
func (s *Store) addKey(ctx context.Context, storage logical.Storage, name string, key *signingkey.Key, source string) (*Key, error) {
	private, err := key.PrivatePEM()
	if err != nil {
		return nil, err
	}
	stored := &storedKey{
		Version: storageVersion, PrivateKey: private, Certificate: key.CertificatePEM(), Source: source, CreatedAt: s.now(),
	}
	err = s.write(ctx, func(ctx context.Context) error { return putJSON(ctx, storage, KeyPrefix+name, stored) })
	if err != nil {
		return nil, err
	}
	return describeKey(ctx, storage, name, stored)
}

// DeleteKey deletes a key that nothing uses, and tells whether there was one.
func (s *Store) DeleteKey(ctx context.Context, storage logical.Storage, name string) (deleted bool, err error) {
	s.admin.Lock()
	defer s.admin.Unlock()
	existing, err := getKey(ctx, storage, name)
	if err != nil || existing == nil {
		return false, err
	}
	users, err := keyUsers(ctx, storage, name)
	if err != nil {
		return false, err
	}
	if len(users) > 0 {
		return false, BadField(FieldName, "%q belongs to a key that is in use by %s; set another key there first",
			name, strings.Join(users, ", "))
	}
	err = s.write(ctx, func(ctx context.Context) error { return remove(ctx, storage, KeyPrefix+name) })
	return err == nil, err
}

func missingKey(mount Mount, name string) string {
	return fmt.Sprintf("The signing key %q does not exist yet; run %s, or import one.",
		name, mount.Command("write -f", KeyPrefix+name+"/generate"))
}
