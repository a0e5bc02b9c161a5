package main

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

// namePattern lets any name through, so that a bad one gets an error that says what is wrong with it, not a 404.
const namePattern = `(?P<` + settings.FieldName + `>[^/]+)`

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
		Fields:       map[string]*framework.FieldSchema{settings.FieldName: keyNameField()},
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
		Description:  "Name of the key: letters, digits, _ and -, with single dots and @ inside, 63 characters at most.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Name", Identifier: true},
	}
}

func keyAnswerFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		settings.FieldCertificate: {Type: framework.TypeString, Description: "The certificate as PEM, to be added to the OAuth2 application's public keys."},
		fieldPublicKey:            {Type: framework.TypeString, Description: "The public key as PEM, in PKIX form."},
		fieldFingerprint:          {Type: framework.TypeString, Description: "SHA-256 fingerprint of the certificate, as `openssl x509 -fingerprint -sha256` prints it."},
		settings.FieldKeyBits:     {Type: framework.TypeInt, Description: "Size of the RSA key in bits."},
		fieldSource:               {Type: framework.TypeString, Description: "Where the key came from: generated or imported."},
		fieldNotBefore:            {Type: framework.TypeTime, Description: "Begin of the certificate's validity."},
		fieldNotAfter:             {Type: framework.TypeTime, Description: "End of the certificate's validity."},
		fieldCreatedAt:            {Type: framework.TypeTime, Description: "When the key was generated or imported."},
		fieldUsedBy:               {Type: framework.TypeStringSlice, Description: "Settings that sign with this key, and so keep it from being deleted; those that cannot be read are marked, because they may."},
	}
}

func (b *backend) listKeys(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := b.settings.Keys(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *backend) readKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	key, err := b.settings.Key(ctx, req.Storage, name)
	if err != nil || key == nil {
		return nil, err
	}
	return b.describeKey(name, key)
}

// describeKey is the answer of every path that returns a key: its public half.
func (b *backend) describeKey(name string, key *settings.Key) (*logical.Response, error) {
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: map[string]any{
		settings.FieldCertificate: key.CertificatePEM(),
		fieldPublicKey:            public,
		fieldFingerprint:          key.Fingerprint(),
		settings.FieldKeyBits:     key.Bits(),
		fieldSource:               key.Source,
		fieldNotBefore:            key.Certificate.NotBefore.UTC().Format(time.RFC3339),
		fieldNotAfter:             key.Certificate.NotAfter.UTC().Format(time.RFC3339),
		fieldCreatedAt:            key.CreatedAt.UTC().Format(time.RFC3339),
		fieldUsedBy:               key.UsedBy,
	}}
	if text := settings.ExpiryText(name, key.Certificate.NotAfter, b.now()); text != "" {
		resp.AddWarning(text)
	}
	return resp, nil
}

// keyCreated is the answer to the request that stored a new key.
func (b *backend) keyCreated(ctx context.Context, name string, key *settings.Key) (*logical.Response, error) {
	b.event(ctx, eventKeyCreate, "path", settings.KeyPrefix+name, "fingerprint_sha256", key.Fingerprint(), "source", key.Source)
	return b.describeKey(name, key)
}

func (b *backend) deleteKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	deleted, err := b.settings.DeleteKey(ctx, req.Storage, mountOf(req), name)
	if err != nil {
		return nil, err
	}
	if deleted {
		b.event(ctx, eventKeyDelete, "path", settings.KeyPrefix+name)
	}
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
