package workfront

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Identity is what Workfront says of a session. Members that it does not state, or not in a known form, are empty:
// no client is known to have asked with a session from a JWT, so what is missing decides nothing. The IDs are to be
// compared, and never shown: they are what the answer says, and that could be anything, even the token.
type Identity struct {
	UserID      string
	CustomerID  string
	APIVersion  string   // the newest version of the API
	APIVersions []string // those that Workfront offers, such as v22.0
}

// maxVersions bounds Identity.APIVersions.
const maxVersions = 64

var (
	idForm      = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	versionForm = regexp.MustCompile(`^[vV]?([0-9]{1,3})(?:[._]([0-9]{1,3}))?$`)
)

// Identify asks Workfront whose session it is (Adobe's OpenAPI document, GET /attask/api/<version>/session). The
// session's ID, which the answer holds too, is never returned. It returns ErrSessionGone for a session that
// Workfront does not know, a *RefusedError, an *UnavailableError, or the cancellation of ctx, whose deadline is
// the whole time that it may take.
func (c *Client) Identify(ctx context.Context, token, apiVersion string) (*Identity, error) {
	said, o := c.get(ctx, route{http.MethodGet, apiVersion}, token, "session")
	if o.err != nil {
		return nil, fmt.Errorf("read session: %w", o.err)
	}
	data := said.object("data")
	versions := data.object("versionInformation")
	identity := &Identity{
		UserID:     idOf(data, "userID"),
		CustomerID: idOf(data, "customerID"),
		APIVersion: parseVersion(versions.member("currentAPI")),
	}
	offered := versions.member("apiVersions")
	add := func(raw []byte) bool {
		if v := parseVersion(raw); v != "" {
			identity.APIVersions = append(identity.APIVersions, v)
		}
		return len(identity.APIVersions) < maxVersions
	}
	for element := range elements(offered) {
		if !add(element) {
			break
		}
	}
	for name := range versions.object("apiVersions").members() { // undocumented: a list, or an object by version
		if !add(name) {
			break
		}
	}
	return identity, nil
}

// idOf returns a member that has the form of an ID.
func idOf(o object, name string) string {
	id, whole := o.text(name, maxCode)
	if !whole || !idForm.MatchString(id) {
		return ""
	}
	return id
}

// parseVersion returns a version of the API, a JSON string or number, in the form in which paths have it, or "".
func parseVersion(raw []byte) string {
	v := versionForm.FindStringSubmatch(strings.Trim(string(raw), `"`))
	if v == nil {
		return ""
	}
	if v[2] == "" {
		v[2] = "0"
	}
	return "v" + v[1] + "." + v[2]
}
