package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathCheck() *framework.Path {
	return &framework.Path{
		Pattern:      "check",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationVerb: "check", OperationSuffix: "connection"},
		Fields: map[string]*framework.FieldSchema{
			fieldRole: {
				Type:         framework.TypeString,
				Description:  "Role to check; the defaults of config if left out.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Role"},
			},
			settings.FieldKey: {
				Type:         framework.TypeString,
				Description:  "Signing key to check instead of the one in use, for example a new one before it is used.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
			},
		},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:                    b.runCheck,
				Summary:                     "Check the whole chain to Workfront, step by step.",
				Responses:                   ok("What was found.", checkAnswerFields()),
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
		HelpSynopsis:    `Check the whole chain to Workfront, step by step.`,
		HelpDescription: checkDescription,
	}
}

func checkAnswerFields() map[string]*framework.FieldSchema {
	fields := map[string]*framework.FieldSchema{
		fieldOK:         {Type: framework.TypeBool, Description: "Whether a token can be read."},
		fieldFailedStep: {Type: framework.TypeString, Description: "The step that failed. Empty if none did."},
		fieldCauses:     {Type: framework.TypeString, Description: "What may be the cause, the likeliest first, each on a line with what to do."},
	}
	for _, s := range checkSteps {
		fields[s.name] = &framework.FieldSchema{Type: framework.TypeString, Description: s.about + ": ok and how long it took, or what failed."}
	}
	return fields
}

func (b *backend) runCheck(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	roleName, keyName := d.Get(fieldRole).(string), d.Get(settings.FieldKey).(string)
	for _, f := range []struct{ field, name string }{{fieldRole, roleName}, {settings.FieldKey, keyName}} {
		if f.name == "" {
			continue
		}
		if err := settings.CheckName(f.field, f.name); err != nil {
			return nil, err
		}
	}
	c := &checkRun{b: b, req: req, roleName: roleName, keyName: keyName}
	// A session that was started must be ended, even if the client leaves.
	failed, err := c.run(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	data := map[string]any{fieldOK: failed == "", fieldFailedStep: failed, fieldCauses: numbered(c.causes)}
	for i, s := range checkSteps {
		data[s.name] = "not reached"
		if i < len(c.results) {
			data[s.name] = c.results[i]
		}
	}
	resp := &logical.Response{Data: data}
	if c.settings != nil {
		if text := settings.ExpiryText(c.settings.KeyName, c.settings.Key.Certificate.NotAfter, b.now()); text != "" {
			resp.AddWarning(text)
		}
	}
	if c.inUse {
		resp.AddWarning("Workfront handed out a session that is lent out already. It was not logged out, so that the logout could not be checked.")
	}
	return resp, nil
}

// numbered writes one cause a line, because the command line prints a list of sentences as one.
func numbered(causes []string) string {
	lines := make([]string, len(causes))
	for i, cause := range causes {
		lines[i] = fmt.Sprintf("%d. %s", i+1, cause)
	}
	return strings.Join(lines, "\n")
}

const checkDescription = `
Runs the whole chain: settings, signing key, certificate, connection and TLS,
clock, exchange, a call as the user, logout, and that the session is dead
afterwards. The answer has a line for each step, and for the one that failed the
likely causes, each with what to do. Nothing is left behind: a session that
could not be logged out is kept under sessions/ and tried again.

  $ vault write -f workfront/check
  $ vault write workfront/check role=reports
  $ vault write workfront/check key=2027
`
