package workfront

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpproxy"
)

// ErrProxySettings is the cause of an *UnavailableError whose request was not sent, because the proxy settings in the environment
// cannot be read. Its Reason names the variable.
var ErrProxySettings = errors.New("the proxy settings cannot be read")

// proxies says which requests go through a proxy. All of Workfront is https, so HTTP_PROXY does not matter.
type proxies struct {
	choose   func(*url.URL) (*url.URL, error) // nil, nil: no proxy
	variable string                           // where the proxy was read from
	// err says what is wrong with the settings. Nothing may be sent then: net/http ignores a proxy that it cannot read, and
	// credentials would leave the network by a way that they must not take.
	err error
}

// proxiesFrom reads the settings from an environment, by the rules of golang.org/x/net/http/httpproxy, which are those of
// net/http.
func proxiesFrom(getenv func(string) string) proxies {
	p := proxies{choose: func(*url.URL) (*url.URL, error) { return nil, nil }}
	variable, value := firstSet(getenv, "HTTPS_PROXY", "https_proxy")
	if value == "" {
		return p
	}
	p.variable = variable
	proxy, err := parseProxy(value)
	if err != nil {
		p.err = &UnavailableError{Err: ErrProxySettings, Reason: fmt.Sprintf("nothing was sent, because %s in the environment of Vault %s; "+
			"set it to http://HOST:PORT, with any special characters of user and password percent-encoded, and restart the plugin",
			variable, err)}
		return p
	}
	except, list := firstSet(getenv, "NO_PROXY", "no_proxy")
	if err := checkNoProxy(list); err != nil {
		p.err = &UnavailableError{Err: ErrProxySettings, Reason: fmt.Sprintf("nothing was sent, because %s in the environment of Vault %s; "+
			"set it to host names, IP addresses or CIDR blocks, separated by commas, and restart the plugin", except, err)}
		return p
	}
	p.choose = (&httpproxy.Config{HTTPSProxy: proxy.String(), NoProxy: list}).ProxyFunc()
	return p
}

func firstSet(getenv func(string) string, names ...string) (name, value string) {
	for _, name := range names {
		if value := getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// parseProxy reads the URL of a proxy, or a host and port alone. Its errors hold nothing of the value, in which a password
// may be anywhere.
func parseProxy(value string) (*url.URL, error) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return nil, errors.New("has a scheme other than http, https, socks5 and socks5h")
	}
	if u.Hostname() == "" {
		return nil, errors.New("names no host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is not between 1 and 65535")
		}
	}
	// What comes behind the host is the sign of a typing error further in front: http//proxy:3128, or a # in the password.
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("has something behind the host and port")
	}
	return u, nil
}

// checkNoProxy finds entries that cannot match anything.
func checkNoProxy(list string) error {
	for i, entry := range strings.Split(list, ",") {
		entry = strings.TrimSpace(entry)
		host := entry
		if h, _, err := net.SplitHostPort(entry); err == nil {
			host = h
		}
		_, _, notCIDR := net.ParseCIDR(entry)
		switch {
		case entry == "":
		case strings.ContainsFunc(entry, unicode.IsSpace):
			return fmt.Errorf("holds white space in its entry %d", i+1)
		case host == "":
			return fmt.Errorf("names no host in its entry %d", i+1)
		case strings.Contains(entry, "/") && notCIDR != nil:
			return fmt.Errorf("holds neither a host nor a CIDR block in its entry %d", i+1)
		}
	}
	return nil
}

// through describes the proxy that requests to u go through, without user and password; "" if they go through none.
func (p *proxies) through(u *url.URL) string {
	proxy, err := p.choose(u)
	if err != nil || proxy == nil {
		return ""
	}
	return fmt.Sprintf("%s://%s (%s)", proxy.Scheme, proxy.Host, p.variable)
}

// forRequest is what http.Transport asks.
func (p *proxies) forRequest(req *http.Request) (*url.URL, error) { return p.choose(req.URL) }

// proxyRefusal is a proxy's answer to CONNECT, other than 200.
type proxyRefusal struct{ status int }

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy answered with HTTP status %d", e.status)
}
