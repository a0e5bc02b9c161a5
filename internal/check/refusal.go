package check

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// reason is what a refused exchange was refused for.
type reason int

const (
	reasonNotGiven  reason = iota
	reasonClient           // the client ID or its secret
	reasonAssertion        // the JWT: its signature, issuer, subject or times
	reasonRequest          // the request as such
)

// reasonOf reads the code of a refusal: one of OAuth 2 (RFC 6749, section 5.2; RFC 7521, section 4.1.1), or what
// servers are known to say in its place. Some put it into the message.
func reasonOf(refused *workfront.RefusedError) reason {
	words := strings.FieldsFunc(refused.Message, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) })
	for _, word := range append([]string{refused.Code}, words...) {
		switch strings.ToLower(strings.ReplaceAll(word, "_", "")) {
		case "invalidclient", "unauthorizedclient", "unknownclient",
			"invalidclientid", "invalidclientsecret", "invalidclientcredentials":
			return reasonClient
		case "invalidgrant", "invalidassertion", "invalidtoken", "expiredtoken", "tokenexpired",
			"invalidjwt", "invalidjwttoken", "jwtexpired", "invalidsignature", "invalidjwtsignature":
			return reasonAssertion
		case "invalidrequest", "invalidgranttype", "unsupportedgranttype":
			return reasonRequest
		}
	}
	return reasonNotGiven
}

// application is where Workfront shows an OAuth2 application.
const application = "Setup > System > OAuth2 Applications > your application"

// refusalCandidates is all that went into an exchange, each with where Workfront shows it. What fits the reason that
// Workfront gives comes first. Without a reason, what was noted on the way does, an expired certificate or a clock that
// is off, and then the easiest slip.
func (r *run) refusalCandidates(refused *workfront.RefusedError) []string {
	jwt := []string{r.keyCandidate(), r.customerCandidate(), r.userCandidate()}
	client := []string{r.clientCandidate(), r.secretCandidate()}
	switch reasonOf(refused) {
	case reasonClient:
		return slices.Concat(client, r.noted, jwt)
	case reasonAssertion:
		jwt[1], jwt[2] = jwt[2], jwt[1]
		return slices.Concat(r.noted, jwt, client)
	case reasonRequest:
		altered := "Workfront did not understand the request. Check that no gateway or proxy in between changes it, " +
			"and that base_url is the " +
			"domain of your Workfront. If nothing stands in between: " + reportIt(r.Mount)
		return slices.Concat([]string{altered}, r.noted, jwt, client)
	default:
		return slices.Concat(r.noted, jwt, client)
	}
}

func (r *run) keyCandidate() string {
	return fmt.Sprintf("The public key is not in Workfront, or was added by another user. %s > Public Keys has to "+
		"show the certificate for key %q, with "+
		"the SHA-256 fingerprint %s, added by the user %s. To get it: "+
		"%s.", application, r.settings.KeyName, r.settings.Key.Fingerprint(),
		r.config.UserID, r.Mount.Command("read -field=certificate", settings.KeyPrefix+r.settings.KeyName))
}

func (r *run) customerCandidate() string {
	return fmt.Sprintf("customer_id is not that of the application. It is %s here; compare it with the Customer ID "+
		"at %s.",
		r.config.CustomerID, application)
}

func (r *run) userCandidate() string {
	return fmt.Sprintf("user_id is not the user who added the public key. It is %s here; compare it with the ID of "+
		"that user (Setup > Users, or the "+
		"address of the user's page).", r.config.UserID)
}

func (r *run) clientCandidate() string {
	return fmt.Sprintf("client_id is not that of the application, or belongs to another Workfront than base_url. It "+
		"is %s here, at %s; compare it with the "+
		"Client ID at %s.", r.config.ClientID, r.config.BaseURL, application)
}

func (r *run) secretCandidate() string {
	return fmt.Sprintf("client_secret is wrong or was deleted in Workfront. It cannot be compared; add a new one at "+
		"%s > Client Secrets, and run %s with the "+
		"address of your Workfront: the secret goes to base_url, so do not rely on what is configured.",
		application, r.Mount.Command("write", settings.ConfigKey, "base_url=...", "client_secret=..."))
}
