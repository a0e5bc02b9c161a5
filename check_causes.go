package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfront"
)

// causesOf returns what may have made a step fail, the likeliest first. Where the evidence decides, that is one cause. An
// opaque refusal decides nothing: then it is all candidates, in a fixed order, each with the value to compare.
func (c *checkRun) causesOf(step string, err error) []string {
	var user *settings.InputError
	var refused *workfront.RefusedError
	var unavailable *workfront.UnavailableError
	switch {
	case errors.As(err, &user):
		return []string{user.Text}
	case errors.As(err, &unavailable):
		return []string{unavailableCause(unavailable, c.config.BaseURL)}
	case errors.Is(err, workfront.ErrSessionGone):
		return []string{"Workfront does not know the session that it has just started. Check that base_url is the domain of this very Workfront, " +
			"and that no gateway in between drops the header sessionID."}
	case errors.Is(err, workfront.ErrUnclearLogout):
		return []string{"Workfront did not confirm the logout. Compare api_version with the versions that your Workfront supports. " +
			"The session is kept as logout_pending and tried again."}
	case errors.As(err, &refused) && step == "6_exchange":
		// What was noted on the way, an ended certificate or a clock that is off, comes first.
		noted := c.causes
		c.causes = nil
		return append(noted, c.refusalCandidates()...)
	case errors.As(err, &refused):
		return []string{fmt.Sprintf("Workfront refused the call (HTTP status %d). Check that the user %s is active and may use the API, and that your Workfront "+
			"supports api_version %s.", refused.Status, c.config.UserID, c.config.APIVersion)}
	}
	return nil
}

// refusalCandidates is all that went into an exchange, the easiest slip first, with where Workfront shows it.
func (c *checkRun) refusalCandidates() []string {
	const application = "Setup > System > OAuth2 Applications > your application"
	return []string{
		fmt.Sprintf("The public key is not in Workfront, or was added by another user. %s > Public Keys has to show the certificate of key %q, with the SHA-256 "+
			"fingerprint %s, added by the user %s. To get it: `vault read -field=certificate %skeys/%s`.",
			application, c.settings.KeyName, c.settings.Key.Fingerprint(), c.config.UserID, c.req.MountPoint, c.settings.KeyName),
		fmt.Sprintf("customer_id is not that of the application. It is %s here; compare it with the Customer ID at %s.", c.config.CustomerID, application),
		fmt.Sprintf("user_id is not the user who added the public key. It is %s here; compare it with the ID of that user (Setup > Users, or the address of the user's page).", c.config.UserID),
		fmt.Sprintf("client_id is not that of the application, or belongs to another Workfront than base_url. It is %s here, at %s; compare it with the Client ID at %s.",
			c.config.ClientID, c.config.BaseURL, application),
		fmt.Sprintf("client_secret is wrong or was deleted in Workfront. It cannot be compared; add a new one at %s > Client Secrets, and run `vault write %sconfig base_url=... client_secret=...` "+
			"with the address of your Workfront: the secret goes to base_url, so do not rely on what somebody may have set.",
			application, c.req.MountPoint),
	}
}

// unavailableCause names the cause that the evidence shows.
func unavailableCause(err *workfront.UnavailableError, baseURL string) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("The name in base_url (%s) cannot be resolved from the Vault server. Check its spelling, and the server's DNS.", baseURL)
	case errors.As(err, &unknownCA):
		return fmt.Sprintf("The certificate of %s is signed by a CA that the Vault server does not trust. If a gateway or proxy with a CA of its own stands in "+
			"between, give that CA's certificate as ca_cert (together with client_secret).", baseURL)
	case errors.As(err, &wrongName):
		return fmt.Sprintf("The certificate of %s is for another name. Check base_url, and who answers there.", baseURL)
	case errors.As(err, &invalid):
		return fmt.Sprintf("The certificate of %s is not valid: %s. Whoever runs it has to renew it; check the clock of the Vault server, too.", baseURL, invalid.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("Nothing accepts connections at %s. Check base_url, and the firewall between the Vault server and Workfront.", baseURL)
	case err.Status == http.StatusTooManyRequests, err.Status == http.StatusServiceUnavailable:
		return fmt.Sprintf("Workfront is overloaded or under maintenance (HTTP status %d). Wait, and look at Workfront's status page.", err.Status)
	case err.Status >= 500:
		return fmt.Sprintf("Workfront, or a gateway in front of it, is broken (HTTP status %d). Wait, and look at Workfront's status page.", err.Status)
	case err.Status != 0:
		return fmt.Sprintf("What answers at %s is not Workfront's API (HTTP status %d). Check base_url, and whether a proxy or a login page stands in between.", baseURL, err.Status)
	case err.Transient:
		return fmt.Sprintf("The connection to %s failed or took too long (%s). Check the network between the Vault server and Workfront, and HTTPS_PROXY in the "+
			"environment of Vault.", baseURL, err.Reason)
	}
	return fmt.Sprintf("No working connection to %s could be made (%s). Check base_url, and who answers there.", baseURL, err.Reason)
}
