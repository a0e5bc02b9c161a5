package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"runtime"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathInfo() *framework.Path {
	return &framework.Path{
		Pattern:      "info",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "info"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: b.readInfo,
				Summary:  "Read which version of the plugin runs.",
				Responses: ok("The version.", map[string]*framework.FieldSchema{
					fieldVersion:             {Type: framework.TypeString, Description: "Version of the plugin."},
					fieldCommit:              {Type: framework.TypeString, Description: "Commit that it was built from."},
					fieldBuildDate:           {Type: framework.TypeString, Description: "Date of that build."},
					settings.FieldAPIVersion: {Type: framework.TypeString, Description: "Version of Workfront's API in use; empty if config cannot be read."},
					fieldGoVersion:           {Type: framework.TypeString, Description: "Version of Go that it was built with."},
					fieldFIPS140:             {Type: framework.TypeBool, Description: "Whether Go's FIPS 140-3 mode is on."},
				}),
			},
		},
		HelpSynopsis:    `Read which version of the plugin runs.`,
		HelpDescription: infoDescription,
	}
}

func (b *backend) readInfo(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	// Whoever looks for the version of the plugin may do so because config cannot be read.
	apiVersion := settings.DefaultAPIVersion
	c, err := b.settings.Config(ctx, req.Storage)
	var unreadable *settings.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		apiVersion = ""
	case err != nil:
		return nil, err
	case c != nil:
		apiVersion = c.APIVersion
	}
	return &logical.Response{Data: map[string]any{
		fieldVersion:             version,
		fieldCommit:              commit,
		fieldBuildDate:           buildDate,
		settings.FieldAPIVersion: apiVersion,
		fieldGoVersion:           runtime.Version(),
		fieldFIPS140:             fips140.Enabled(),
	}}, nil
}

const infoDescription = `
Version, commit and build date of the plugin that serves this mount, the
version of Go that it was built with, the version of Workfront's API that it
uses, and whether Go's FIPS 140-3 mode is on.
For bug reports, and to see whether an upgrade has arrived.

  $ vault read workfront/info
`
