package settings

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// Defaults and limits of a key that is generated.
const (
	DefaultKeyBits        = 2048
	DefaultCertificateTTL = 365 * 24 * time.Hour
	minCertificateTTL     = time.Hour
)

// keySizes are the sizes in common use; anything larger costs more at each token than it protects.
var keySizes = []int{2048, 3072, 4096}

// GenerateKey generates a key pair of that many bits and a self-signed certificate, and stores them under a name that
// is free. Of changes, it takes common_name and certificate_ttl. One key is generated at a time: the error of any
// other request is a *BusyError.
func (s *Store) GenerateKey(ctx context.Context, storage logical.Storage, name string, bits int, changes Changes) (*Key, error) {
	c, err := s.certification(name, changes)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(keySizes, bits) {
		return nil, BadField(FieldKeyBits, "must be one of %v", keySizes)
	}
	// Before the key costs anything; addKey checks it again.
	if err := checkNewKey(ctx, storage, name); err != nil {
		return nil, err
	}
	if !s.generating.tryAcquire() {
		return nil, &BusyError{"another key is being generated on this mount, and only one is at a time; try again in a few seconds"}
	}
	key, err := s.generate(bits, c)
	s.generating.release()
	if err != nil {
		return nil, err
	}
	return s.addKey(ctx, storage, name, key, sourceGenerated)
}

// ImportKey stores an existing private key under a name that is free. The certificate may be in private, too; if
// there is none, one is generated, as GenerateKey does.
func (s *Store) ImportKey(
	ctx context.Context, storage logical.Storage, name, private, certificate string, changes Changes,
) (*Key, error) {
	c, err := s.certification(name, changes)
	if err != nil {
		return nil, err
	}
	key, err := readImport(private, certificate, c, changes)
	if err != nil {
		return nil, err
	}
	return s.addKey(ctx, storage, name, key, sourceImported)
}

// certification reads what a certificate says that is generated here.
func (s *Store) certification(name string, changes Changes) (signingkey.Certification, error) {
	c := signingkey.Certification{Now: s.now()}
	err := changes.apply(map[string]setter{
		FieldCommonName:     setText(FieldCommonName, &c.CommonName, maxCommonNameLength, false),
		FieldCertificateTTL: setDuration(FieldCertificateTTL, &c.TTL, minCertificateTTL, MaxDuration),
	})
	commonName := "workfront " + name
	if len(commonName) > maxCommonNameLength {
		commonName = name
	}
	setDefault(&c.CommonName, commonName)
	setDefault(&c.TTL, DefaultCertificateTTL)
	return c, err
}

// readImport reads the key and its certificate, which may come with the key. If there is none, one is issued here.
func readImport(privatePEM, certPEM string, c signingkey.Certification, changes Changes) (*signingkey.Key, error) {
	if privatePEM == "" {
		return nil, BadField(FieldPrivateKey, "is required; give the PEM file, for example private_key=@private.key")
	}
	for _, f := range []struct{ name, value string }{{FieldPrivateKey, privatePEM}, {FieldCertificate, certPEM}} {
		if len(f.value) > maxPEMLength {
			return nil, BadField(f.name, "is longer than 64 KiB; give the key or the certificate alone")
		}
	}
	private, beside, err := signingkey.ParseKeyFile(privatePEM)
	if err != nil {
		return nil, BadField(FieldPrivateKey, "%s", err)
	}
	if certPEM == "" && beside == nil {
		return signingkey.SelfSign(private, c)
	}
	for _, field := range []string{FieldCommonName, FieldCertificateTTL} {
		if _, sent := changes[field]; sent {
			return nil, BadField(field, "is for a generated certificate, but one is given, in certificate or beside the key in "+
				"private_key; leave one of the two out")
		}
	}
	if certPEM == "" {
		return &signingkey.Key{Private: private, Certificate: beside}, nil
	}
	key, err := signingkey.ParseCertificate(certPEM, private)
	if err != nil {
		return nil, BadField(FieldCertificate, "%s", err)
	}
	return key, nil
}

// checkNewKey checks that the name of a new key is free: a key is never overwritten, because its certificate may be
// in use at Workfront.
func checkNewKey(ctx context.Context, s logical.Storage, name string) error {
	existing, err := loadKey(ctx, s, name)
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return BadField(FieldName, "%q belongs to a key that exists: %s, and a key is never overwritten; delete it first, or "+
			"choose another name", name, unreadable)
	case err != nil:
		return err
	case existing != nil:
		return BadField(FieldName, "%q belongs to a key that exists, and a key is never overwritten; choose another name, "+
			"and set it as config's key once Workfront has its certificate", name)
	}
	return nil
}

// addKey stores a new key, unless its client has left meanwhile or its name was taken.
func (s *Store) addKey(ctx context.Context, storage logical.Storage, name string, key *signingkey.Key, source string) (*Key, error) {
	private, err := key.PrivatePEM()
	if err != nil {
		return nil, err
	}
	added := &Key{Key: key, Source: source, CreatedAt: s.now()}
	stored := &storedKey{
		Version: storageVersion, PrivateKey: private, Certificate: key.CertificatePEM(), Source: source, CreatedAt: added.CreatedAt,
	}
	if err := s.admin.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.admin.release()
	if err := checkNewKey(ctx, storage, name); err != nil {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context) error { return putJSON(ctx, storage, KeyPrefix+name, stored) })
	if err != nil {
		return nil, err
	}
	users, err := findKeyUsers(ctx, storage)
	if err != nil {
		return nil, err
	}
	added.UsedBy = users.of(name)
	return added, nil
}
