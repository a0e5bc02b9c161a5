package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathKeysImport() *framework.Path {
	fields := certificationFields()
	fields[settings.FieldName] = keyNameField()
	fields[settings.FieldPrivateKey] = &framework.FieldSchema{
		Type:         framework.TypeString,
		Description:  "RSA private key of 2048 bits or more as PEM, PKCS#1 or PKCS#8, unencrypted. Required.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Private key", Sensitive: true, EditType: "file"},
	}
	fields[settings.FieldCertificate] = &framework.FieldSchema{
		Type:         framework.TypeString,
		Description:  "Certificate of that key as PEM. Without it one is made, as in generate.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Certificate", EditType: "file"},
	}
	return &framework.Path{
		Pattern:      "keys/" + namePattern + "/import",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationVerb: "import", OperationSuffix: "key"},
		Fields:       fields,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: keyWrite(b.importKey, "Take an existing private key and, optionally, its certificate."),
		},
		HelpSynopsis:    `Take an existing private key and, optionally, its certificate.`,
		HelpDescription: importDescription,
	}
}

func (b *backend) importKey(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	name := d.Get(settings.FieldName).(string)
	if err := settings.CheckName(settings.FieldName, name); err != nil {
		return nil, err
	}
	changes, err := decode(req, d)
	if err != nil {
		return nil, err
	}
	private, certificate := d.Get(settings.FieldPrivateKey).(string), d.Get(settings.FieldCertificate).(string)
	key, err := b.settings.ImportKey(ctx, req.Storage, name, private, certificate, changes)
	if err != nil {
		return nil, err
	}
	return b.keyCreated(ctx, name, key)
}

const importDescription = `
Takes a key that exists already, such as one made by Adobe's command or by
Workfront's "Generate a public/private keypair":

  $ openssl req -x509 -sha256 -nodes -newkey rsa:2048 -days 365 \
      -keyout private.key -out certificate_pub.crt
  $ vault write workfront/keys/default/import \
      private_key=@private.key certificate=@certificate_pub.crt

Delete the file of the private key afterwards. A name that exists is refused.
`
