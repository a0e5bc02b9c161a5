package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
)

func (b *backend) pathCheck() *framework.Path {
	return &framework.Path{
		Pattern:      "check",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: operationPrefix, OperationVerb: "check", OperationSuffix: "connection"},
		Fields: map[string]*framework.FieldSchema{
			fieldRole: {
				Type:         framework.TypeString,
				Description:  "Role to check. Leave it out to check the defaults of config.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Role"},
			},
			settings.FieldKey: {
				Type:         framework.TypeString,
				Description:  "Signing key to check instead of the one in use, for example a new one before it is used.",
				DisplayAttrs: &framework.DisplayAttributes{Name: "Signing key"},
			},
			fieldObserve: {
				Type: framework.TypeBool,
				Description: "Also return observations: a line for each request to Workfront, without any value, to paste into a support case. " +
					"Makes two more requests that Workfront has to refuse: an exchange of a JWT with a wrong signature, and a second logout.",
				Default:      false,
				DisplayAttrs: &framework.DisplayAttributes{Name: "Return observations"},
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
		fieldOK:           {Type: framework.TypeBool, Description: "Whether a token can be read."},
		fieldFailedStep:   {Type: framework.TypeString, Description: "The step that failed. Empty if none did."},
		fieldCauses:       {Type: framework.TypeString, Description: "What may be the cause, the likeliest first, each on a line with what to do."},
		fieldObservations: {Type: framework.TypeString, Description: "A line for each request to Workfront, without any value. Only with observe."},
	}
	for _, s := range check.Steps() {
		fields[s.Name] = &framework.FieldSchema{Type: framework.TypeString, Description: s.About + ": ok and how long it took, or what failed."}
	}
	return fields
}

func (b *backend) runCheck(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	request := check.Request{
		Storage: req.Storage, Mount: mountOf(req), Role: d.Get(fieldRole).(string), Key: d.Get(settings.FieldKey).(string),
		Observe: d.Get(fieldObserve).(bool),
	}
	for _, f := range []struct{ field, name string }{{fieldRole, request.Role}, {settings.FieldKey, request.Key}} {
		if f.name == "" {
			continue
		}
		if err := settings.CheckName(f.field, f.name); err != nil {
			return nil, err
		}
	}
	found, err := b.check.Run(ctx, request)
	if err != nil {
		return nil, err
	}
	data := map[string]any{fieldOK: found.FailedStep == "", fieldFailedStep: found.FailedStep, fieldCauses: numbered(found.Causes)}
	for _, s := range found.Steps {
		data[s.Name] = s.Text
	}
	if request.Observe {
		data[fieldObservations] = strings.Join(found.Observations, "\n")
	}
	return &logical.Response{Data: data, Warnings: found.Warnings}, nil
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
Checks the whole chain: settings, signing key, certificate, connection and TLS,
clock, exchange, a call as the user, logout, and that the session is dead
afterwards. The response has a line for each step and, for the one that failed,
the likely causes, each with what to do. Nothing is left behind: a session that
cannot be logged out is listed under sessions/ with its logout pending, which is
retried.

  $ vault write -f workfront/check
  $ vault write workfront/check role=reports
  $ vault write workfront/check key=2027

With observe=true the response also has "observations": a line for each request
to Workfront with method, path, status, content type, time, and the names and
JSON types of the members of the answer, but never a value. Paste them into a
support case or an issue. Two more requests are made that Workfront has to
refuse: an exchange of a JWT with a wrong signature, and a second logout.

  $ vault write -field=observations workfront/check observe=true
`
