package check

import (
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// nothingCompared is the note of the call where Workfront's session resource does not help.
const nothingCompared = ", not compared with Workfront's session resource, which did not answer as documented"

// uncompared is compare where the session resource gave no answer. That decides nothing: Adobe's OpenAPI document
// declares the resource, but no client is known to have asked with a session from a JWT.
func (r *run) uncompared() (string, error) {
	r.observe("nothing to compare with the settings")
	return nothingCompared, nil
}

// compare compares what Workfront says of the session with the settings. What it does not say decides nothing. Of what
// differs, the setting is shown alone.
func (r *run) compare(said *workfront.Identity) (note string, err error) {
	var same, observed []string
	var different error
	for _, c := range []struct{ field, set, said, cause string }{
		{
			settings.FieldUserID, r.config.UserID, said.UserID,
			"Tokens act as that user. Compare user_id with the user who added the public key in Workfront.",
		},
		{
			settings.FieldCustomerID, r.config.CustomerID, said.CustomerID,
			"Compare customer_id with the Customer ID of the OAuth2 application, and base_url with the domain of " +
				"your Workfront.",
		},
	} {
		switch {
		case c.said == "":
			observed = append(observed, c.field+" not stated")
		case strings.EqualFold(c.said, c.set):
			same, observed = append(same, c.field), append(observed, c.field+" as configured")
		default:
			observed = append(observed, c.field+" differs")
			if different == nil {
				text := fmt.Sprintf("Workfront says that %s of the session is another one than the configured %s",
					c.field, c.set)
				different = &finding{text, text + ". " + c.cause}
			}
		}
	}
	listed := slices.Contains(said.APIVersions, r.config.APIVersion)
	switch {
	case len(said.APIVersions) == 0:
		observed = append(observed, settings.FieldAPIVersion+" not stated")
	case listed:
		same, observed = append(same, settings.FieldAPIVersion), append(observed, settings.FieldAPIVersion+" offered")
	default:
		observed = append(observed, settings.FieldAPIVersion+" not offered")
		r.warn("Workfront does not list api_version %s among the versions that it offers (%s), although it answers. "+
			"Set one of those: %s.",
			r.config.APIVersion, strings.Join(said.APIVersions, ", "), r.setAPIVersion())
	}
	r.observe("compared with the settings: " + strings.Join(observed, ", "))
	if different != nil {
		return "", different
	}
	if len(same) == 0 {
		return nothingCompared, nil
	}
	return ", " + strings.Join(same, ", ") + " confirmed", nil
}
