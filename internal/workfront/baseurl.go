package workfront

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Domains are the domains under which Adobe serves Workfront: production, preview and sandboxes, before and
// since the Adobe unified shell (Adobe, "Locate the domain for API calls").
var domains = [...]string{".workfront.com", ".workfront.adobe.com"}

// A label of a host name (RFC 1123, section 2.1), already in lower case.
var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// maxHostLength is the longest host name that DNS can carry (RFC 1035, section 2.3.4).
const maxHostLength = 253

// ParseBaseURL checks where credentials would be sent and returns the address in its one normal form: scheme
// https, lower-case host, no default port, nothing after it. Unless allowCustomHost is set, the host must be
// below one of Workfront's domains and the port 443. The error says what is wrong and what to write instead,
// to be put behind the name of the field.
func ParseBaseURL(raw string, allowCustomHost bool) (string, error) {
	const example = "write it like https://acme.my.workfront.com"
	for _, c := range raw {
		if c <= ' ' || c > '~' || c == '\\' {
			return "", errors.New("holds a character that no host name has; " + example)
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("is not a URL; " + example)
	}
	switch {
	case strings.ToLower(u.Scheme) != "https":
		return "", errors.New("must start with https://; " + example)
	case u.User != nil:
		return "", errors.New("must not hold a user name or password; " + example)
	case u.Opaque != "" || u.Host == "":
		return "", errors.New("has no host; " + example)
	case u.Path != "" && u.Path != "/":
		return "", errors.New("must end after the host, without a path; " + example)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return "", errors.New("must end after the host, without a query or fragment; " + example)
	}
	host, err := normalHost(strings.ToLower(u.Hostname()))
	if err != nil {
		return "", err
	}
	port, err := normalPort(u)
	if err != nil {
		return "", err
	}
	if !allowCustomHost {
		if !underWorkfront(host) {
			return "", fmt.Errorf("names the host %q, which is not below workfront.com or workfront.adobe.com; "+
				"correct it, or set allow_custom_host=true if a gateway or a test server is meant", host)
		}
		if port != "" {
			return "", fmt.Errorf("names port %s, but Workfront answers on 443; leave the port out, "+
				"or set allow_custom_host=true if a gateway or a test server is meant", port)
		}
	}
	if strings.Contains(host, ":") { // An IPv6 literal needs its brackets back.
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return "https://" + host, nil
}

func underWorkfront(host string) bool {
	for _, d := range domains {
		if strings.HasSuffix(host, d) {
			return true
		}
	}
	return false
}

// normalHost accepts a DNS name or an IP address. Spellings of an address that different resolvers read differently
// (0x7f.1, 2130706433, a zone) are not accepted.
func normalHost(host string) (string, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", errors.New("names an IP address with a zone; leave the zone out")
		}
		return addr.String(), nil
	}
	return host, checkName(host)
}

func checkName(host string) error {
	if len(host) > maxHostLength {
		return fmt.Errorf("names a host longer than %d characters; check it for a slip in pasting", maxHostLength)
	}
	if strings.HasSuffix(host, ".") {
		return errors.New("names a host that ends in a dot; leave the dot out")
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if !hostLabel.MatchString(l) {
			return fmt.Errorf("names %q, which is no host name; check its spelling", host)
		}
	}
	// No top-level domain is numeric (RFC 3696, section 2), so this can only be an odd spelling of an address.
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return fmt.Errorf("names %q, which is neither a host name nor an IP address in its usual spelling", host)
	}
	return nil
}

// normalPort returns the port of u, or "" for the default of https.
func normalPort(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", errors.New("ends in a colon without a port; leave the colon out")
		}
		return "", nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("names port %s, which is not between 1 and 65535", port)
	}
	if n == 443 {
		return "", nil
	}
	return strconv.FormatUint(n, 10), nil
}
