package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathKeysGenerate() *framework.Path {
	fields := certificationFields()
	fields[settings.FieldName] = keyNameField()
	fields[settings.FieldKeyBits] = &framework.FieldSchema{
		Type:          framework.TypeInt,
		Description:   "Size of the RSA key in bits: 2048, 3072 or 4096.",
		Default:       settings.DefaultKeyBits,
		AllowedValues: []any{2048, 3072, 4096},
		DisplayAttrs:  &framework.DisplayAttributes{Name: "Key bits"},
	}
	return &framework.Path{
		Pattern:      "keys/" + namePattern + "/generate",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationVerb: "generate", OperationSuffix: "key"},
		Fields:       fields,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: keyWrite(b.generateKey, "Generate an RSA key pair and a self-signed certificate inside Vault."),
		},
		HelpSynopsis:    `Generate an RSA key pair and a self-signed certificate inside Vault.`,
		HelpDescription: generateDescription,
	}
}

// certificationFields are the fields that decide what a certificate says that is made here.
func certificationFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		settings.FieldCommonName: {
			Type:         framework.TypeString,
			Description:  `Common name in the certificate, 64 characters at most. "workfront NAME" by default, or NAME alone if that is too long.`,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Common name"},
		},
		settings.FieldCertificateTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "How long the certificate is valid, between 1h and ten years.",
			Default:      int(settings.DefaultCertificateTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Certificate TTL"},
		},
	}
}

func (b *backend) generateKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	changes, err := decode(req, d)
	if err != nil {
		return nil, err
	}
	key, err := b.settings.GenerateKey(ctx, req.Storage, name, d.Get(settings.FieldKeyBits).(int), changes)
	if err != nil {
		return nil, err
	}
	return b.keyCreated(ctx, name, key)
}

const generateDescription = `
The private key is generated in Vault and never leaves it. Upload the
certificate in the answer to the OAuth2 application in Workfront (Public Keys >
Add a public key), signed in as the user whose session is to be issued.

  $ vault write -f workfront/keys/default/generate

A name that exists is refused. To rotate, generate a key under a new name,
upload its certificate, and set it as key in config or in the role.
`
