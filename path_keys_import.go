package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/signingkey"
)

func (b *backend) pathKeysImport() *framework.Path {
	fields := certificationFields()
	fields[fieldName] = keyNameField()
	fields[fieldPrivateKey] = &framework.FieldSchema{
		Type:         framework.TypeString,
		Description:  "RSA private key of 2048 bits or more as PEM, PKCS#1 or PKCS#8, unencrypted. Required.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Private key", Sensitive: true, EditType: "file"},
	}
	fields[fieldCertificate] = &framework.FieldSchema{
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
	name := d.Get(fieldName).(string)
	if err := checkName(fieldName, name); err != nil {
		return nil, err
	}
	c, err := b.certification(req, d, name)
	if err != nil {
		return nil, err
	}
	key, err := readImport(d, c)
	if err != nil {
		return nil, err
	}
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	if err := checkNewKey(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	return b.addKey(ctx, req.Storage, name, key, sourceImported)
}

// readImport reads the key and makes the certificate if none is given.
func readImport(d *framework.FieldData, c signingkey.Certification) (*signingkey.Key, error) {
	privatePEM, certPEM := d.Get(fieldPrivateKey).(string), d.Get(fieldCertificate).(string)
	if privatePEM == "" {
		return nil, badField(fieldPrivateKey, "is required; give the PEM file, for example private_key=@private.key")
	}
	for _, f := range []struct{ name, value string }{{fieldPrivateKey, privatePEM}, {fieldCertificate, certPEM}} {
		if len(f.value) > maxPEMLength {
			return nil, badField(f.name, "is longer than 64 KiB; give one PEM block alone")
		}
	}
	private, err := signingkey.ParsePrivateKey(privatePEM)
	if err != nil {
		return nil, badField(fieldPrivateKey, "%s", err)
	}
	if certPEM == "" {
		return signingkey.SelfSign(private, c)
	}
	for _, field := range []string{fieldCommonName, fieldCertificateTTL} {
		if _, sent := d.Raw[field]; sent {
			return nil, badField(field, "is for a certificate that is made here, but one is given; leave one of the two out")
		}
	}
	key, err := signingkey.ParseCertificate(certPEM, private)
	if err != nil {
		return nil, badField(fieldCertificate, "%s", err)
	}
	return key, nil
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
