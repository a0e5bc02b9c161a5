package main

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

const (
	defaultKeyBits        = 2048
	defaultCertificateTTL = 365 * 24 * time.Hour
	minCertificateTTL     = time.Hour
)

// keySizes are the sizes in common use; anything larger costs more at each token than it protects.
var keySizes = []int{2048, 3072, 4096}

func (b *backend) pathKeysGenerate() *framework.Path {
	fields := certificationFields()
	fields[fieldName] = keyNameField()
	fields[fieldKeyBits] = &framework.FieldSchema{
		Type:          framework.TypeInt,
		Description:   "Size of the RSA key in bits: 2048, 3072 or 4096.",
		Default:       defaultKeyBits,
		AllowedValues: []any{2048, 3072, 4096},
		DisplayAttrs:  &framework.DisplayAttributes{Name: "Key bits"},
	}
	return &framework.Path{
		Pattern:      "keys/" + namePattern + "/generate",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationVerb: "generate", OperationSuffix: "key"},
		Fields:       fields,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: keyWrite(b.generateKey, "Make an RSA key pair and a self-signed certificate inside Vault."),
		},
		HelpSynopsis:    `Make an RSA key pair and a self-signed certificate inside Vault.`,
		HelpDescription: generateDescription,
	}
}

// certificationFields are the fields that decide what a certificate says that is made here.
func certificationFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		fieldCommonName: {
			Type:         framework.TypeString,
			Description:  `Common name in the certificate, 64 characters at most. "workfront <name>" by default.`,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Common name"},
		},
		fieldCertificateTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "How long the certificate is valid, between 1h and ten years.",
			Default:      int(defaultCertificateTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Certificate TTL"},
		},
	}
}

// certification reads the fields of certificationFields.
func (b *backend) certification(req *logical.Request, d *framework.FieldData, keyName string) (signingkey.Certification, error) {
	c := signingkey.Certification{Now: b.now()}
	err := merge(req, d, map[string]setter{
		fieldCommonName:     setText(fieldCommonName, &c.CommonName, maxCommonNameLength, false),
		fieldCertificateTTL: setDuration(fieldCertificateTTL, &c.TTL, minCertificateTTL, maxDuration),
	})
	setDefault(&c.CommonName, "workfront "+keyName)
	setDefault(&c.TTL, defaultCertificateTTL)
	return c, err
}

func (b *backend) generateKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	c, err := b.certification(req, d, name)
	if err != nil {
		return nil, err
	}
	bits := d.Get(fieldKeyBits).(int)
	if !slices.Contains(keySizes, bits) {
		return nil, badField(fieldKeyBits, "must be one of %v", keySizes)
	}
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	if err := checkNewKey(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	key, err := signingkey.Generate(bits, c)
	if err != nil {
		return nil, err
	}
	return b.addKey(ctx, req.Storage, name, key, sourceGenerated)
}

const generateDescription = `
The private key is made in Vault and never leaves it. Upload the certificate in
the answer to the OAuth2 application in Workfront (Public Keys > Add a public
key), signed in as the user whose session is to be lent out.

  $ vault write -f workfront/keys/default/generate

A name that exists is refused. To rotate, generate a key under a new name,
upload its certificate, and set it as key in config or in the role.
`
