package main

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
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
					fieldVersion:    {Type: framework.TypeString, Description: "Version of the plugin."},
					fieldCommit:     {Type: framework.TypeString, Description: "Commit that it was built from."},
					fieldBuildDate:  {Type: framework.TypeString, Description: "Date of that build."},
					fieldAPIVersion: {Type: framework.TypeString, Description: "Version of Workfront's API that is in use."},
				}),
			},
		},
		HelpSynopsis:    `Read which version of the plugin runs.`,
		HelpDescription: infoDescription,
	}
}

func (b *backend) readInfo(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := getConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &config{}
	}
	return &logical.Response{Data: map[string]any{
		fieldVersion:    version,
		fieldCommit:     commit,
		fieldBuildDate:  buildDate,
		fieldAPIVersion: c.withDefaults().APIVersion,
	}}, nil
}

const infoDescription = `
Version, commit and build date of the plugin that serves this mount, and the
version of Workfront's API that it uses. For bug reports, and to see whether an
upgrade has arrived.

  $ vault read workfront/info
`
