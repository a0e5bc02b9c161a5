package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/ledger"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// maxLookup is how long an access_token may be that is looked up, in bytes, the white space around it included. No issued
// one is longer than 4 KiB.
const maxLookup = 64 << 10

func (b *backend) pathSessionsLookup() *framework.Path {
	return &framework.Path{
		Pattern: "sessions/lookup",
		DisplayAttrs: &framework.DisplayAttributes{
			OperationPrefix: operationPrefix, OperationVerb: "look-up", OperationSuffix: "session",
		},
		Fields: map[string]*framework.FieldSchema{
			fieldAccessToken: {
				Type:         framework.TypeString,
				Description:  "The access token whose session is looked up. White space around it is ignored.",
				Required:     true,
				DisplayAttrs: &framework.DisplayAttributes{Name: "Access token", Sensitive: true},
			},
			settings.FieldBaseURL: {
				Type: framework.TypeString,
				Description: "Workfront host that issued the token, such as https://acme.my.workfront.com, in a form that config " +
					"accepts. If unset, the one in config.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Base URL"},
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:  b.lookUpSession,
				Summary:   "Find the session of an access token, for example of one that has leaked.",
				Responses: ok("The session.", lookupAnswerFields()),
				// A standby may not have the newest sessions yet, and would deny knowing the token.
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		HelpSynopsis:    `Find the session of an access token.`,
		HelpDescription: sessionsLookupDescription,
	}
}

func lookupAnswerFields() map[string]*framework.FieldSchema {
	fields := sessionAnswerFields()
	fields[fieldSessionID] = &framework.FieldSchema{
		Type: framework.TypeString, Description: "Name of the session under sessions/. It is not a credential.",
	}
	return fields
}

func (b *backend) lookUpSession(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	token, err := askedToken(d)
	if err != nil {
		return nil, err
	}
	baseURL, err := b.askedBaseURL(ctx, req, d)
	if err != nil {
		return nil, err
	}
	id := ledger.SessionID(baseURL, token)
	data, err := b.describeSession(ctx, req.Storage, id)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, logical.CodedError(http.StatusNotFound, fmt.Sprintf("no session of %s has this access_token; this mount "+
			"does not know it: it is another mount's, was logged out, or has expired", baseURL))
	}
	data[fieldSessionID] = id
	return &logical.Response{Data: data}, nil
}

// askedToken returns the token that is looked up. No error quotes it.
func askedToken(d *framework.FieldData) (string, error) {
	raw, _ := d.Get(fieldAccessToken).(string)
	if len(raw) > maxLookup {
		return "", settings.BadField(fieldAccessToken, "is longer than 64 KiB, which no token is; send the token alone")
	}
	token := strings.TrimSpace(raw)
	if token == "" {
		return "", settings.BadField(fieldAccessToken, "is required; give it with access_token=- to have it read from stdin")
	}
	if strings.ContainsFunc(token, unicode.IsSpace) {
		return "", settings.BadField(fieldAccessToken, "has white space inside, which no token has; send the token alone")
	}
	return token, nil
}

// askedBaseURL returns the host whose session is looked up, in the form in which config stores it. Nothing is sent there, so
// it may be any host: one that config has named, but no longer does.
func (b *backend) askedBaseURL(ctx context.Context, req *logical.Request, d *framework.FieldData) (string, error) {
	if raw, _ := d.Get(settings.FieldBaseURL).(string); raw != "" {
		baseURL, err := workfront.ParseBaseURL(raw, true)
		if err != nil {
			return "", settings.BadField(settings.FieldBaseURL, "%s", err)
		}
		return baseURL, nil
	}
	c, err := b.settings.Config(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	if c == nil {
		return "", settings.BadField(settings.FieldBaseURL,
			"is required as long as there is no config; give the Workfront host that issued the token")
	}
	return c.BaseURL, nil
}

const sessionsLookupDescription = `
Finds the session of an access token, for example of one that was found in a
log: its session_id, its role and user, and the number of its leases. The
session_id is what logs it out. Let the token be read from stdin, so that it is
not in the history of your shell:

  $ vault write workfront/sessions/lookup access_token=-
  $ vault delete workfront/sessions/<session_id>

A session is found by the host that issued it and the token. Give base_url if
config names another host by now, or does not exist.

If the response is a 404, this mount does not know the token: it is another
mount's, was logged out, or has expired.

Do not add access_token to audit_non_hmac_request_keys of this mount: the audit
log would then hold each token that is looked up.
`
