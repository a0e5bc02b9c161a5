package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
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
				Callback:                    b.patchConfig,
				Summary:                     "Change some settings; null puts the default of a field back.",
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
		fieldBaseURL: {
			Type:         framework.TypeString,
			Description:  "Address of Workfront: https and a host, such as https://acme.my.workfront.com. Required.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Base URL"},
		},
		fieldClientID: {
			Type:         framework.TypeString,
			Description:  "Client ID of the OAuth2 application. Required.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Client ID"},
		},
		fieldClientSecret: {
			Type:         framework.TypeString,
			Description:  "Client secret of the OAuth2 application. It is never returned. Required.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Client secret", Sensitive: true},
		},
		fieldCustomerID: {
			Type:         framework.TypeString,
			Description:  "Customer ID from the details of the OAuth2 application (not its Client ID). It becomes the issuer of the JWT. Required.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Customer ID"},
		},
		fieldUserID: {
			Type:         framework.TypeString,
			Description:  "ID of the Workfront user whose session is lent out: the one who added the public key. It becomes the subject of the JWT.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "User ID"},
		},
		fieldKey: {
			Type:         framework.TypeString,
			Description:  "Name of the signing key, under keys/.",
			Default:      defaultKey,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
		},
		fieldTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Life of a lease, if the reader asks for none. 0 is the mount's default. A lease never outlives its session.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Lease TTL"},
		},
		fieldMaxTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Longest life of a lease, renewals included. 0 is the mount's maximum.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Maximum lease TTL"},
		},
		fieldShareSession: {
			Type:         framework.TypeBool,
			Description:  "Give all readers the same session, each with a lease of its own, instead of a session each. The last lease to go logs it out.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Share the session"},
		},
		fieldJWTTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Life of the signed JWT, between 30s and 10m.",
			Default:      int(defaultJWTTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "JWT TTL"},
		},
		fieldSessionTTL: {
			Type:         framework.TypeDurationSecond,
			Description:  "Life of a session that is assumed when Workfront's answer states none.",
			Default:      int(defaultSessionTTL.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Assumed session TTL"},
		},
		fieldAPIVersion: {
			Type:         framework.TypeString,
			Description:  "Version of Workfront's API that is used to log sessions out and to check that they live.",
			Default:      defaultAPIVersion,
			DisplayAttrs: &framework.DisplayAttributes{Name: "API version"},
		},
		fieldRequestTimeout: {
			Type:         framework.TypeDurationSecond,
			Description:  "The whole time that one exchange may take, retries included, between 1s and 60s.",
			Default:      int(defaultRequestTimeout.Seconds()),
			DisplayAttrs: &framework.DisplayAttributes{Name: "Request timeout"},
		},
		fieldMaxRetries: {
			Type:         framework.TypeInt,
			Description:  "Further attempts after a failure in which Workfront cannot have started a session, between 0 and 5.",
			Default:      defaultMaxRetries,
			DisplayAttrs: &framework.DisplayAttributes{Name: "Retries"},
		},
		fieldCACert: {
			Type:         framework.TypeString,
			Description:  "PEM certificates of CAs to trust besides those of the system, for a gateway with a CA of its own.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "CA certificates", EditType: "file"},
		},
		fieldAllowCustomHost: {
			Type:         framework.TypeBool,
			Description:  "Permit a base_url outside Workfront's domains, such as a gateway or a test server. The client secret is sent there.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Allow a custom host"},
		},
		fieldVerify: {
			Type:         framework.TypeBool,
			Description:  "Prove the new settings with a real exchange and logout before storing them. On failure nothing changes. Not stored.",
			DisplayAttrs: &framework.DisplayAttributes{Name: "Verify the connection"},
		},
	}
}

// configAnswerFields are the fields of a read: all that is stored but the client secret.
func configAnswerFields() map[string]*framework.FieldSchema {
	fields := configFields()
	delete(fields, fieldClientSecret)
	delete(fields, fieldVerify)
	return fields
}

func (b *backend) configExists(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
	c, err := getConfig(ctx, req.Storage)
	return c != nil, err
}

func (b *backend) patchConfig(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	c, err := getConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, logical.CodedError(http.StatusNotFound, "there is no config to patch yet; use `vault write` to make one")
	}
	return b.changeConfig(ctx, req, d, c)
}

func (b *backend) writeConfig(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	c, err := getConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &config{}
	}
	return b.changeConfig(ctx, req, d, c)
}

// changeConfig merges the request into old and stores the outcome, or nothing.
func (b *backend) changeConfig(ctx context.Context, req *logical.Request, d *framework.FieldData, old *config) (*logical.Response, error) {
	c := *old
	if err := merge(req, d, configSetters(&c)); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	_, secretSent := d.Raw[fieldClientSecret]
	if err := checkMove(old, &c, secretSent); err != nil {
		return nil, err
	}
	if d.Get(fieldVerify).(bool) {
		if err := b.verify(ctx, req, c.withDefaults()); err != nil {
			return nil, err
		}
	}
	if err := putConfig(ctx, req.Storage, &c); err != nil {
		return nil, err
	}
	b.settingsChanged()
	b.endUnshared(ctx, req.Storage)
	b.event(ctx, eventConfigWrite, "path", configKey)
	return b.configWarnings(ctx, req, c.withDefaults())
}

func (b *backend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	stored, err := getConfig(ctx, req.Storage)
	if err != nil || stored == nil {
		return nil, err
	}
	c := stored.withDefaults()
	resp := &logical.Response{Data: map[string]any{
		fieldBaseURL:         c.BaseURL,
		fieldClientID:        c.ClientID,
		fieldCustomerID:      c.CustomerID,
		fieldUserID:          c.UserID,
		fieldKey:             c.Key,
		fieldTTL:             int64(c.TTL.Seconds()),
		fieldMaxTTL:          int64(c.MaxTTL.Seconds()),
		fieldShareSession:    c.ShareSession,
		fieldJWTTTL:          int64(c.JWTTTL.Seconds()),
		fieldSessionTTL:      int64(c.SessionTTL.Seconds()),
		fieldAPIVersion:      c.APIVersion,
		fieldRequestTimeout:  int64(c.RequestTimeout.Seconds()),
		fieldMaxRetries:      *c.MaxRetries,
		fieldCACert:          c.CACert,
		fieldAllowCustomHost: c.AllowCustomHost,
	}}
	key, err := getKey(ctx, req.Storage, c.Key)
	if err != nil {
		return nil, err
	}
	return resp, b.warnOfExpiry(key, c.Key, resp)
}

func (b *backend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	if err := req.Storage.Delete(ctx, configKey); err != nil {
		return nil, fmt.Errorf("delete config: %w", err)
	}
	b.settingsChanged()
	b.endUnshared(ctx, req.Storage)
	b.event(ctx, eventConfigDelete, "path", configKey)
	return nil, nil
}

const (
	configSynopsis    = `Configure the connection to Workfront and the defaults of every token.`
	configDescription = `
Holds the OAuth2 application's client credentials, the user whose session is
lent out, the signing key, and the limits of leases.

  $ vault write workfront/config base_url=https://acme.my.workfront.com \
      client_id=... client_secret=... customer_id=... user_id=...

A field that is not sent keeps its value. To put a default back, patch the field
with null:

  $ echo '{"ttl": null}' | vault patch workfront/config -

The client secret is never returned. A change of base_url, ca_cert or
allow_custom_host decides where it is sent, and therefore has to bring
client_secret along in the same request.

What it says of user_id, key, ttl, max_ttl and share_session are the defaults of
every role, too.

With verify_connection=true the new settings, with config's own user and key,
are proven by a real exchange and logout first, and stored only if that works.

Deleting the configuration ends no session that is lent out: leases stay
revocable.
`
)
