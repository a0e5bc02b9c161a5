package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"vault-plugin-secrets-workfront/internal/workfront"
)

// unavailableCause names the cause that the evidence shows.
func unavailableCause(err *workfront.UnavailableError, baseURL string) string {
	if cause := proxyCause(err, baseURL); cause != "" {
		return cause
	}
	through := ""
	if err.Proxy != "" {
		through = " Requests go through the proxy " + err.Proxy + ", which may be what answers."
	}
	return endpointCause(err, baseURL) + through
}

// proxyCause names a cause that lies in a proxy, or in something else that stands in between; "" if the evidence shows
// none.
func proxyCause(err *workfront.UnavailableError, baseURL string) string {
	var dns *net.DNSError
	var below *net.OpError
	inBetween := err.Status == http.StatusProxyAuthRequired || err.Status == http.StatusForbidden ||
		err.Status == http.StatusUnavailableForLegalReasons
	connected := err.Err == nil // there was an answer
	switch {
	case errors.Is(err, workfront.ErrProxySettings):
		return sentence(err.Reason)
	case inBetween && err.Proxy == "":
		return fmt.Sprintf("A proxy or firewall answered in place of %s (HTTP status %d). Have it let the Vault "+
			"server through to that host, "+
			"port 443, or set HTTPS_PROXY in the environment of Vault if requests have to go through a "+
			"proxy.", baseURL, err.Status)
	case err.Proxy == "":
		return ""
	case err.Status == http.StatusProxyAuthRequired:
		return fmt.Sprintf("The proxy %s demands authentication (HTTP status 407). Put the right user and password "+
			"into its URL, with any special "+
			"characters percent-encoded, and restart the plugin.", err.Proxy)
	case inBetween, err.Status != 0 && !connected:
		return fmt.Sprintf("The proxy %s, or a firewall behind it, does not let the connection to %s through (HTTP "+
			"status %d). Have it permit that "+
			"host, port 443.", err.Proxy, baseURL, err.Status)
	case errors.As(err, &dns):
		return fmt.Sprintf("The name of the proxy %s cannot be resolved from the Vault server. Check its spelling, "+
			"and the server's DNS.", err.Proxy)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("Nothing accepts connections at the proxy %s. Check its host and port, and the firewall "+
			"between the Vault server and the "+
			"proxy.", err.Proxy)
	case errors.As(err, &below) && below.Op == "proxyconnect":
		return fmt.Sprintf("The proxy %s cannot be reached (%s). Check its host and port, and the network between "+
			"the Vault server and the proxy.",
			err.Proxy, err.Reason)
	case err.Status == 0 && err.Transient:
		return fmt.Sprintf("The connection to %s through the proxy %s failed or took too long (%s). Check the proxy, "+
			"and the network on either side "+
			"of it.", baseURL, err.Proxy, err.Reason)
	}
	return ""
}

// endpointCause names a cause that lies in base_url, or on the way there.
func endpointCause(err *workfront.UnavailableError, baseURL string) string {
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("The name in base_url (%s) cannot be resolved from the Vault server. Check its spelling, "+
			"and the server's DNS.", baseURL)
	case errors.As(err, &unknownCA):
		return fmt.Sprintf("The certificate of %s is signed by a CA that the Vault server does not trust. If a "+
			"gateway or proxy with a CA of its own stands in "+
			"between, give that CA's certificate as ca_cert (together with client_secret).", baseURL)
	case errors.As(err, &wrongName):
		return fmt.Sprintf("The certificate of %s is for another name. Check base_url, and who answers there.", baseURL)
	case errors.As(err, &invalid):
		return fmt.Sprintf("The certificate of %s is not valid (%s). Have it renewed by the operator of that host; "+
			"check the clock of the Vault server, too.", baseURL, err.Reason)
	case err.Redirect != "":
		return fmt.Sprintf("%s redirects to %s (HTTP status %d). A redirect is never followed, because credentials "+
			"would go along. If that is your Workfront, set it as base_url (together with client_secret); otherwise "+
			"check base_url, and whether a proxy or a login page is in between.", baseURL, err.Redirect, err.Status)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("Nothing accepts connections at %s. Check base_url, and the firewall between the Vault "+
			"server and Workfront.", baseURL)
	case err.Status == http.StatusTooManyRequests, err.Status == http.StatusServiceUnavailable:
		return fmt.Sprintf("Workfront is overloaded or under maintenance (HTTP status %d). Wait, and look at "+
			"Workfront's status page.", err.Status)
	case err.Status >= 500:
		return fmt.Sprintf("Workfront, or a gateway in front of it, is broken (HTTP status %d). Wait, and look at "+
			"Workfront's status page.", err.Status)
	case err.Status != 0:
		return fmt.Sprintf("What answers at %s is not Workfront's API (HTTP status %d). Check base_url, and whether "+
			"a proxy or a login page is in between.",
			baseURL, err.Status)
	case err.Transient:
		return fmt.Sprintf("The connection to %s failed or took too long (%s). Check the network between the Vault "+
			"server and Workfront, and HTTPS_PROXY in the "+
			"environment of Vault.", baseURL, err.Reason)
	}
	return fmt.Sprintf("No working connection to %s could be made (%s). Check base_url, and who answers "+
		"there.", baseURL, err.Reason)
}

// sentence makes one of the text of an error.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// middleboxCauses names what in between can be the reason that a handshake fails, or that a connection ends before the
// first byte of an answer. goVersion is what the plugin is built with.
func middleboxCauses(err *workfront.UnavailableError, goVersion string) []string {
	var verification *tls.CertificateVerificationError
	if !err.Handshake && !err.CutOff || errors.As(err, &verification) {
		return nil
	}
	const set = "Set it as env of the plugin in the catalog, in addition to what GODEBUG already contains there, and reload " +
		"the plugin."
	ecdhe := "A firewall, proxy or server in between does not know ECDHE. It has to be updated: no setting of this build of " +
		"the plugin helps."
	if strings.HasPrefix(goVersion, "go1.26") {
		ecdhe = "A firewall, proxy or server in between does not know ECDHE. Until it is updated, use GODEBUG=tlsrsakex=1, " +
			"which works as long as the plugin is built with Go 1.26 (go_version of info). " + set
	}
	return []string{
		"A firewall or proxy in between cannot handle a large ClientHello. Until it is updated, use GODEBUG=tlsmlkem=0. " + set,
		ecdhe,
	}
}
