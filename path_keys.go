package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

// namePattern lets any name through, so that a bad one gets an error that says what is wrong with it, not a 404.
const namePattern = `(?P<` + fieldName + `>[^/]+)`

func (b *backend) pathKeysList() *framework.Path {
	return &framework.Path{
		Pattern:      "keys/?$",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "keys", Navigation: true, ItemType: "Key"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{
				Callback: b.listKeys,
				Summary:  "List the names of the signing keys.",
				Responses: ok("The names.", map[string]*framework.FieldSchema{
					fieldKeys: {Type: framework.TypeStringSlice, Description: "Names of the signing keys."},
				}),
			},
		},
		HelpSynopsis:    `List the names of the signing keys.`,
		HelpDescription: keysListDescription,
	}
}

func (b *backend) pathKeys() *framework.Path {
	return &framework.Path{
		Pattern:      "keys/" + namePattern,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "key", ItemType: "Key"},
		Fields:       map[string]*framework.FieldSchema{fieldName: keyNameField()},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.readKey,
				Summary:   "Read the public half of a signing key: the certificate to be uploaded to Workfront.",
				Responses: ok("The public half of the key.", keyAnswerFields()),
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.deleteKey,
				Summary:                     "Delete a signing key that nothing uses.",
				Responses:                   noContent(),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		HelpSynopsis:    `Read or delete a signing key.`,
		HelpDescription: keysDescription,
	}
}

func keyNameField() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type:         framework.TypeString,
		Description:  "Name of the key: letters, digits, _, - and single dots inside, 48 characters at most.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Name", Identifier: true},
	}
}

func keyAnswerFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		fieldCertificate: {Type: framework.TypeString, Description: "The certificate as PEM, to be added to the OAuth2 application's public keys."},
		fieldPublicKey:   {Type: framework.TypeString, Description: "The public key as PEM, in PKIX form."},
		fieldFingerprint: {Type: framework.TypeString, Description: "SHA-256 fingerprint of the certificate, as `openssl x509 -fingerprint -sha256` prints it."},
		fieldKeyBits:     {Type: framework.TypeInt, Description: "Size of the RSA key in bits."},
		fieldSource:      {Type: framework.TypeString, Description: "Where the key came from: generated or imported."},
		fieldNotBefore:   {Type: framework.TypeTime, Description: "Begin of the certificate's validity."},
		fieldNotAfter:    {Type: framework.TypeTime, Description: "End of the certificate's validity."},
		fieldCreatedAt:   {Type: framework.TypeTime, Description: "When the key was generated or imported."},
		fieldUsedBy:      {Type: framework.TypeStringSlice, Description: "What signs with this key, and so keeps it from being deleted."},
	}
}

func (b *backend) listKeys(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := req.Storage.List(ctx, keyPrefix)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return logical.ListResponse(names), nil
}

func (b *backend) readKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	key, err := getKey(ctx, req.Storage, name)
	if err != nil || key == nil {
		return nil, err
	}
	resp, err := describeKey(ctx, req.Storage, name, key)
	if err != nil {
		return nil, err
	}
	return resp, b.warnOfExpiry(key, name, resp)
}

// describeKey is the answer of every path that returns a key: its public half.
func describeKey(ctx context.Context, s logical.Storage, name string, stored *storedKey) (*logical.Response, error) {
	key, err := stored.parse()
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	users, err := keyUsers(ctx, s, name)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		fieldCertificate: key.CertificatePEM(),
		fieldPublicKey:   public,
		fieldFingerprint: key.Fingerprint(),
		fieldKeyBits:     key.Bits(),
		fieldSource:      stored.Source,
		fieldNotBefore:   key.Certificate.NotBefore.UTC().Format(time.RFC3339),
		fieldNotAfter:    key.Certificate.NotAfter.UTC().Format(time.RFC3339),
		fieldCreatedAt:   stored.CreatedAt.UTC().Format(time.RFC3339),
		fieldUsedBy:      users,
	}}, nil
}

// keyUsers returns the paths whose settings sign with the key of that name.
func keyUsers(ctx context.Context, s logical.Storage, name string) ([]string, error) {
	users := []string{}
	c, err := getConfig(ctx, s)
	if err != nil {
		return nil, err
	}
	if c != nil && c.withDefaults().Key == name {
		users = append(users, configKey)
	}
	roles, err := s.List(ctx, rolePrefix)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	for _, roleName := range roles {
		r, err := getRole(ctx, s, roleName)
		if err != nil {
			return nil, err
		}
		if r != nil && r.Key == name {
			users = append(users, rolePrefix+roleName)
		}
	}
	return users, nil
}

// addKey stores a new key and answers with its public half. The caller holds adminMu.
func (b *backend) addKey(ctx context.Context, s logical.Storage, name string, key *signingkey.Key, source string) (*logical.Response, error) {
	private, err := key.PrivatePEM()
	if err != nil {
		return nil, err
	}
	stored := &storedKey{PrivateKey: private, Certificate: key.CertificatePEM(), Source: source, CreatedAt: b.now()}
	if err := putKey(ctx, s, name, stored); err != nil {
		return nil, err
	}
	b.settingsChanged()
	b.event(ctx, eventKeyCreate, "path", keyPrefix+name, "fingerprint_sha256", key.Fingerprint(), "source", source)
	resp, err := describeKey(ctx, s, name, stored)
	if err != nil {
		return nil, err
	}
	return resp, b.warnOfExpiry(stored, name, resp)
}

// checkNewKey checks that the name of a key that is to be made is free: a key is never overwritten, because its
// certificate may be in use at Workfront. The caller holds adminMu.
func checkNewKey(ctx context.Context, s logical.Storage, name string) error {
	existing, err := getKey(ctx, s, name)
	if err != nil {
		return err
	}
	if existing != nil {
		return badField(fieldName, "%q belongs to a key that exists, and a key is never overwritten; choose another name, "+
			"and point config's key to it once Workfront has its certificate", name)
	}
	return nil
}

func (b *backend) deleteKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	existing, err := getKey(ctx, req.Storage, name)
	if err != nil || existing == nil {
		return nil, err
	}
	users, err := keyUsers(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, badField(fieldName, "%q belongs to a key that is in use by %s; set another key there first", name, strings.Join(users, ", "))
	}
	if err := req.Storage.Delete(ctx, keyPrefix+name); err != nil {
		return nil, fmt.Errorf("delete key %s: %w", name, err)
	}
	b.settingsChanged()
	b.event(ctx, eventKeyDelete, "path", keyPrefix+name)
	return nil, nil
}

// keyWrite describes the operation by which a key comes into being.
func keyWrite(callback framework.OperationFunc, summary string) *framework.PathOperation {
	return &framework.PathOperation{
		Callback:                    callback,
		Summary:                     summary,
		Responses:                   ok("The public half of the new key.", keyAnswerFields()),
		ForwardPerformanceStandby:   true,
		ForwardPerformanceSecondary: true,
	}
}

const (
	keysListDescription = `
The signing keys are RSA key pairs. Their private halves never leave Vault.

  $ vault list workfront/keys
`
	keysDescription = `
Reads the public half of a key: the certificate to be uploaded to the OAuth2
application in Workfront (Public Keys > Add a public key), its fingerprint and
validity, and what uses the key. The private half cannot be read by anyone.

  $ vault read -field=certificate workfront/keys/default > certificate_pub.crt

A key that config or a role uses cannot be deleted. Keys are made by
keys/:name/generate and keys/:name/import, and never overwritten.
`
)
