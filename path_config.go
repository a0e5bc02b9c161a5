package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathConfig() *framework.Path {
	write := &framework.PathOperation{
		Callback:                    b.writeConfig,
		Summary:                     "Configure the connection to Workfront and the defaults of every token.",
		Responses:                   written("Stored. Fields that were not sent keep their values."),
		ForwardPerformanceStandby:   true,
		ForwardPerformanceSecondary: true,
		DisplayAttrs:                &framework.DisplayAttributes{OperationVerb: "configure"},
	}
	return &framework.Path{
		Pattern:      "config",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationSuffix: "configuration"},
		Fields:       configFields(),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: write,
			logical.UpdateOperation: write,
			logical.PatchOperation: &framework.PathOperation{
				Callback:                    b.writeConfig,
				Summary:                     "Change some settings; null resets a field to its default.",
				Responses:                   written("Stored. Fields that were not sent keep their values."),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.readConfig,
				Summary:   "Read the configuration, without the client secret.",
				Responses: ok("The configuration, with the defaults in effect.", configAnswerFields()),
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.deleteConfig,
				Summary:                     "Delete the configuration, and the client secret with it.",
				Responses:                   noContent(),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		ExistenceCheck:  b.configExists,
		HelpSynopsis:    configSynopsis,
		HelpDescription: configDescription,
	}
}

func configFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		settings.FieldBaseURL: {
			Type: framework.TypeString,
			Description: "Required. Address of Workfront: https and a host, such as https://acme.my.workfront.com. " +
				"The host is below workfront.com or workfront.adobe.com, on port 443, unless allow_custom_host is set.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Base URL"},
		},
		settings.FieldClientID: {
			Type:         framework.TypeString,
			Description:  "Required. Client ID of the OAuth2 application; 256 characters at most.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Client ID"},
		},
		settings.FieldClientSecret: {
			Type:         framework.TypeString,
			Description:  "Required. Client secret of the OAuth2 application; 4,096 characters at most. It is never returned.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Client secret", Sensitive: true},
		},
		settings.FieldCustomerID: {
			Type: framework.TypeString,
			Description: "Required. Customer ID from the details of the OAuth2 application (not its Client ID); 256 characters " +
				"at most. It becomes the issuer of the JWT.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Customer ID"},
		},
		settings.FieldUserID: {
			Type: framework.TypeString,
			Description: "ID of the Workfront user whose session is issued: the one who added the public key. The URL of the " +
				"user's profile page is accepted, too. It becomes the subject of the JWT. If unset, only roles that set their own " +
				"user_id can issue tokens.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "User ID"},
		},
		settings.FieldKey: {
			Type:         framework.TypeString,
			Description:  "Name of the signing key, under keys/.",
			Default:      settings.DefaultKey,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
		},
		settings.FieldTTL: {
			Type: framework.TypeDurationSecond,
			Description: "Default lease TTL. 0 is the mount's default. Must not be longer than max_ttl. A lease never outlives its " +
				"session.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Lease TTL"},
		},
		settings.FieldMaxTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Maximum lease TTL, renewals included. 0 is the mount's maximum.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Maximum lease TTL"},
		},
		settings.FieldShareSession: {
			Type:         framework.TypeBool,
			Description:  "Give all readers the same session, each with a lease of its own, instead of a session each. The last lease to go logs it out.",
			Default:      false,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Share the session"},
		},
		settings.FieldJWTTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Lifetime of the signed JWT, between 30s and 10m, and not shorter than request_timeout.",
			Default:      int(settings.DefaultJWTTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "JWT TTL"},
		},
		settings.FieldSessionTTL: {
			Type: framework.TypeDurationSecond,
			Description: "Assumed lifetime of a session when Workfront's answer states none, between 10s and 768h. Workfront " +
				"expires sessions that are idle: after 8 hours by default, after 15 minutes for some customers. Set it to no more " +
				"than that.",
			Default:      int(settings.DefaultSessionTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Assumed session TTL"},
		},
		settings.FieldAPIVersion: {
			Type:         framework.TypeString,
			Description:  "Version of Workfront's API that is used to log sessions out and to check that they live.",
			Default:      settings.DefaultAPIVersion,
			DisplayAttrs: &framework.DisplayAttributes{Name: "API version"},
		},
		settings.FieldRequestTimeout: {
			Type: framework.TypeDurationSecond,
			Description: "How long a reader waits for a session, its turn and retries included, between 1s and 60s. An exchange that was " +
				"sent is then waited for in the background, so that its session is known.",
			Default:      int(settings.DefaultRequestTimeout.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Request timeout"},
		},
		settings.FieldMaxRetries: {
			Type: framework.TypeInt,
			Description: "Further attempts after a failure in which Workfront cannot have started a session (no connection, 429, " +
				"503), between 0 and 5.",
			Default:      settings.DefaultMaxRetries,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Retries"},
		},
		settings.FieldMaxConnections: {
			Type: framework.TypeInt,
			Description: "Calls at a time from this mount to one Workfront host, between 2 and 64. Workfront limits the calls of a customer, " +
				"all integrations together.",
			Default:      settings.DefaultMaxConnections,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Maximum connections"},
		},
		settings.FieldCACert: {
			Type: framework.TypeString,
			Description: "PEM certificates of CAs to trust in addition to the system's, for a gateway with a CA of its own; " +
				"64 KiB at most. Stored as plain PEM.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "CA certificates", EditType: "file"},
		},
		settings.FieldAllowCustomHost: {
			Type:         framework.TypeBool,
			Description:  "Permit a base_url outside Workfront's domains, such as a gateway or a test server. The client secret is sent there.",
			Default:      false,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Allow a custom host"},
		},
		fieldVerify: {
			Type:         framework.TypeBool,
			Description:  "Prove the new settings with a real exchange and logout before storing them. On failure nothing changes. Not stored.",
			Default:      false,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Verify the connection"},
		},
	}
}

// configAnswerFields are the fields of a read: all that is stored but the client secret.
func configAnswerFields() map[string]*framework.FieldSchema {
	fields := configFields()
	delete(fields, settings.FieldClientSecret)
	delete(fields, fieldVerify)
	return fields
}

func (b *backend) configExists(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
	return b.settings.ConfigExists(ctx, req.Storage)
}

// writeConfig is create, update and patch: all of them merge.
func (b *backend) writeConfig(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	changes, err := decode(req, d)
	if err != nil {
		return nil, err
	}
	write := settings.ConfigWrite{Changes: changes, Patch: req.Operation == logical.PatchOperation}
	if d.Get(fieldVerify).(bool) {
		write.Verify = b.verifier(req)
	}
	defer b.broker.ConfigWritten() // whatever it returns: the write may have arrived
	warnings, err := b.settings.WriteConfig(ctx, req.Storage, mountOf(req), write)
	if errors.Is(err, settings.ErrNotFound) {
		return nil, logical.CodedError(http.StatusNotFound, "there is no config to patch yet; create it with `vault write`")
	}
	if err != nil {
		return nil, err
	}
	b.unshareAll(ctx, req.Storage)
	b.event(ctx, eventConfigWrite, "path", settings.ConfigKey)
	return &logical.Response{Warnings: warnings}, nil
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := b.settings.Config(ctx, req.Storage)
	if err != nil || c == nil {
		return nil, err
	}
	warnings, err := b.settings.KeyWarnings(ctx, req.Storage, mountOf(req), c.Key)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Warnings: warnings, Data: map[string]any{
		settings.FieldBaseURL:         c.BaseURL,
		settings.FieldClientID:        c.ClientID,
		settings.FieldCustomerID:      c.CustomerID,
		settings.FieldUserID:          c.UserID,
		settings.FieldKey:             c.Key,
		settings.FieldTTL:             int64(c.TTL.Seconds()),
		settings.FieldMaxTTL:          int64(c.MaxTTL.Seconds()),
		settings.FieldShareSession:    c.ShareSession,
		settings.FieldJWTTTL:          int64(c.JWTTTL.Seconds()),
		settings.FieldSessionTTL:      int64(c.SessionTTL.Seconds()),
		settings.FieldAPIVersion:      c.APIVersion,
		settings.FieldRequestTimeout:  int64(c.RequestTimeout.Seconds()),
		settings.FieldMaxRetries:      *c.MaxRetries,
		settings.FieldMaxConnections:  c.MaxConnections,
		settings.FieldCACert:          c.CACert,
		settings.FieldAllowCustomHost: c.AllowCustomHost,
	}}, nil
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	defer b.broker.ConfigWritten()
	if err := b.settings.DeleteConfig(ctx, req.Storage); err != nil {
		return nil, err
	}
	b.unshareAll(ctx, req.Storage)
	b.event(ctx, eventConfigDelete, "path", settings.ConfigKey)
	return nil, nil
}

const (
	configSynopsis    = `Configure the connection to Workfront and the defaults of every token.`
	configDescription = `
Holds the OAuth2 application's client credentials, the user whose session is
issued, the signing key, and the limits of leases.

  $ vault write workfront/config base_url=https://acme.my.workfront.com \
      client_id=... client_secret=... customer_id=... user_id=...

A field that is not sent keeps its value. To reset a field to its default, patch
it with null:

  $ echo '{"ttl": null}' | vault patch workfront/config -

The client secret is never returned. A change of base_url, ca_cert or
allow_custom_host decides where it is sent, and therefore has to bring
client_secret along in the same request.

Roles inherit user_id, key, ttl, max_ttl and share_session where they do not set
them.

With verify_connection=true the new settings, with config's own user and key,
are proven by a real exchange and logout first, and stored only if that works.

Deleting the configuration ends no issued session: leases stay revocable.
`
)
