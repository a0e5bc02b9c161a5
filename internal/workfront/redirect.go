package workfront

import (
	"regexp"
	"strings"
)

// anotherHost stands for a host that is not shown, because the answer chooses it.
const anotherHost = "(another host)"

// environment is what is between a customer's domain and Workfront's (Adobe, "Locate the domain for API calls").
var environment = regexp.MustCompile(`^\.(my|preview|sb[0-9]{2})$`)

// redirectHost returns what is shown of the host that a redirect leads to: the host if it is another one of the same
// customer's, so below a Workfront domain with the first label of the host that was called; else anotherHost.
func redirectHost(a *answer) string {
	if a.Request == nil {
		return anotherHost
	}
	to, err := a.Location()
	if err != nil {
		return anotherHost
	}
	called, host := strings.ToLower(a.Request.URL.Hostname()), strings.ToLower(to.Hostname())
	if host == called {
		return "another page of the same host"
	}
	label, _, _ := strings.Cut(called, ".")
	for _, domain := range domains {
		rest, below := strings.CutSuffix(host, domain)
		rest, same := strings.CutPrefix(rest, label)
		if below && same && (rest == "" || environment.MatchString(rest)) {
			return host
		}
	}
	return anotherHost
}
