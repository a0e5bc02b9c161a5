package workfront_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

const gone outcome = "session gone"

// apiOutcome is outcomeOf, with what a call with a session can come to besides.
func apiOutcome(err error) outcome {
	if errors.Is(err, workfront.ErrSessionGone) {
		return gone
	}
	return outcomeOf(err)
}

// What tells a dead session from a call that is refused for another reason: a shared session is
// replaced for the first, and
// must not be for the second.
func TestCallsWithASession(t *testing.T) {
	t.Parallel()
	const (
		page = "<html>no</html>"
		dead = `{"error":{"class":"com.attask.common.AuthenticationException","message":"no"}}`
		text = `{"error":{"message":"You are not currently logged in."}}`
	)
	tests := []struct {
		name   string
		status int
		body   string
		want   outcome
	}{
		{"data", 200, `{"data":{"ID":"x"}}`, success},
		{"no permission on the object", 200, `{"data":[]}`, success},
		{"gone by 401 with a class", 401, `{"error":{"class":"com.attask.common.SessionException"}}`, gone},
		{"gone by 401 with a message", 401, text, gone},
		{"401 of nothing", 401, "", permanent},
		{"401 of a page", 401, page, permanent},
		{"401 of JSON without an error", 401, `{}`, permanent},
		{"401 of a gateway", 401, `{"code":401,"message":"Unauthorized"}`, permanent},
		{"gone by class, 200", 200, dead, gone},
		{"gone by class, 400", 400, dead, gone},
		{"gone by class, 403", 403, dead, gone},
		{"gone by class, 500", 500, dead, gone},
		{"gone by class, 503", 503, dead, gone},
		{"gone by message, 200", 200, text, gone},
		{"gone by message, 403", 403, text, gone},
		{"gone by message, 404", 404, text, gone},
		{"gone by message, as the OAuth service words it", 500, `{"error":true,"message":"You are not currently logged in."}`, gone},
		{"forbidden", 403, `{"error":{"class":"com.attask.common.AccessException","message":"no access"}}`, refused},
		{"forbidden without a reason", 403, "", refused},
		{"page of a firewall, 403", 403, page, permanent},
		{"page of a proxy, 407", 407, page, permanent},
		{"page of a filter, 451", 451, page, permanent},
		{"no such user", 404, `{"error":{"message":"no such user"}}`, refused},
		{"version that is no longer available", 410, "", refused},
		{"error besides data", 200, `{"data":{},"error":{"message":"no"}}`, refused},
		{"no data", 200, `{}`, permanent},
		{"page", 200, page, permanent},
		{"broken", 500, page, permanent},
		{"overloaded", 429, "", transient},
		{"unavailable", 503, page, transient},
		{"redirect", 302, page, permanent},
	}
	calls := map[string]func(context.Context, *workfront.Client) error{
		"whoami": func(ctx context.Context, c *workfront.Client) error {
			return c.Whoami(ctx, sessionToken, []string{apiVersion}, userID)
		},
		"identify": func(ctx context.Context, c *workfront.Client) error {
			got, err := c.Identify(ctx, sessionToken, apiVersion)
			if (got == nil) != (err != nil) {
				t.Errorf("got %v and %v, want one of them", got, err)
			}
			return err
		},
	}
	for _, tt := range tests {
		for name, call := range calls {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				h := newHost(t, always(tt.status, tt.body))
				err := call(bounded(t), newClient(t, h.endpoint(), time.Now))
				if got := apiOutcome(err); got != tt.want {
					t.Errorf("got %s (%v), want %s", got, err, tt.want)
				}
				if got, want := h.count(), 1; got != want {
					t.Errorf("got %d requests, want %d", got, want)
				}
				var refusal *workfront.RefusedError
				if errors.As(err, &refusal) && refusal.Status == http.StatusGone && !strings.Contains(err.Error(), "api_version "+apiVersion) {
					t.Errorf("got %q, want api_version in it", err)
				}
			})
		}
	}
}

// Statuses that say who answered, with and without words of Workfront's.
func TestStatusOfAnExchange(t *testing.T) {
	t.Parallel()
	const page = "\xef\xbb\xbf \r\n<!doctype html><html><body>Access denied</body></html>"
	tests := []struct {
		name   string
		status int
		body   string
		want   outcome
		text   string
	}{
		{"page, 401", 401, page, refused, "401"},
		{"page, 403", 403, page, permanent, "proxy or firewall answered in its place (HTTP status 403)"},
		{"page, 407", 407, page, permanent, "proxy or firewall answered in its place (HTTP status 407)"},
		{"page, 451", 451, page, permanent, "proxy or firewall answered in its place (HTTP status 451)"},
		{"nothing, 403", 403, "", refused, "403"},
		{"nothing, 407", 407, "", permanent, "proxy or firewall"},
		{"nothing, 451", 451, "", refused, "451"},
		{"reason, 403", 403, `{"error":"invalid_client"}`, refused, "403: invalid_client"},
		{"reason, 451", 451, `{"error":"access_denied"}`, refused, "451: access_denied"},
		{"page, 404", 404, page, permanent, "no such page (HTTP status 404)"},
		{"page, 410", 410, page, permanent, "no such page (HTTP status 410)"},
		{"reason, 410", 410, `{"message":"no longer available"}`, refused, "410: no longer available"},
		{
			"reason, 500", 500, `{"statusCode":500,"error":true,"type":"InternalServerError","message":"not available"}`, permanent,
			"500: InternalServerError: not available",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(tt.status, tt.body, "Content-Type", "text/html"))
			_, err := exchangeWith(bounded(t), newClient(t, h.endpoint(), time.Now), 0)
			checkOutcome(t, err, tt.want)
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %q, want %q in it", err, tt.text)
			}
		})
	}
}

// The stand-in's session resource, which restates the protocol on its own.
func TestIdentify(t *testing.T) {
	t.Parallel()
	s := newStandIn(t, workfronttest.Options{})
	c := newClient(t, s.endpoint(), time.Now)
	token := s.start(t, c)
	got, err := c.Identify(bounded(t), token, apiVersion)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.APIVersions)
	want := &workfront.Identity{
		UserID: userID, CustomerID: s.App.CustomerID, APIVersion: "v22.0",
		APIVersions: []string{"v17.0", "v18.0", "v19.0", "v20.0", "v21.0", "v22.0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.EndSession(token)
	if _, err := c.Identify(bounded(t), token, apiVersion); !errors.Is(err, workfront.ErrSessionGone) {
		t.Errorf("got %v, want %v", err, workfront.ErrSessionGone)
	}
}

func TestIdentifyAnswers(t *testing.T) {
	t.Parallel()
	many := `"v1.0"` + strings.Repeat(`,"v1.0"`, 5000)
	tests := []struct {
		name, data string
		want       workfront.Identity
	}{
		{"nothing", `{}`, workfront.Identity{}},
		{"a list", `[]`, workfront.Identity{}},
		{"IDs", `{"userID":"u1","customerID":"c-2_3"}`, workfront.Identity{UserID: "u1", CustomerID: "c-2_3"}},
		{"the session's ID is dropped", `{"sessionID":"` + sessionToken + `"}`, workfront.Identity{}},
		{"IDs of another form", `{"userID":"a b","customerID":"<html>"}`, workfront.Identity{}},
		{"IDs of another type", `{"userID":7,"customerID":{}}`, workfront.Identity{}},
		{"an ID that is too long", `{"userID":"` + strings.Repeat("a", 65) + `"}`, workfront.Identity{}},
		{
			"versions in a list", `{"versionInformation":{"currentAPI":"v22.0","apiVersions":["v21.0","22.0",20,"v19","x",null]}}`,
			workfront.Identity{APIVersion: "v22.0", APIVersions: []string{"v21.0", "v22.0", "v20.0", "v19.0"}},
		},
		{
			"versions by name", `{"versionInformation":{"currentAPI":22.0,"apiVersions":{"21.0":"/attask/api/v21.0","unsupported":"/x"}}}`,
			workfront.Identity{APIVersion: "v22.0", APIVersions: []string{"v21.0"}},
		},
		{"versions of another type", `{"versionInformation":[1],"apiVersions":5}`, workfront.Identity{}},
		{
			"many versions", `{"versionInformation":{"apiVersions":[` + many + `]}}`,
			workfront.Identity{APIVersions: strings.Fields(strings.Repeat("v1.0 ", 64))},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, always(http.StatusOK, `{"data":`+tt.data+`}`))
			got, err := newClient(t, h.endpoint(), time.Now).Identify(bounded(t), sessionToken, apiVersion)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
		})
	}
}

func TestSupportEnds(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v2.0": "0001-01-01", "v15.0": "0001-01-01", "v16.0": "2026-04-01", "v17.0": "2026-10-01", "v18.0": "2027-04-01",
		"v19.0": "2027-10-01", "v20.0": "2028-04-01", "v21.0": "2028-10-01", "v22.0": "2029-04-01", "v23.0": "", "": "",
	} {
		month, known := workfront.SupportEnds(version)
		got := month.Format(time.DateOnly)
		if !known {
			got = ""
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}
