package check_test

import (
	"fmt"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// Where Workfront says whose session it is, that is compared with the settings; where it does not, that decides
// nothing.
func TestSessionResource(t *testing.T) {
	for resource, want := range map[workfronttest.SessionResource]string{
		workfronttest.SessionPresent: "user_id, customer_id, api_version confirmed",
		workfronttest.SessionAbsent:  "not compared with Workfront's session resource",
		workfronttest.SessionPage:    "not compared with Workfront's session resource",
	} {
		t.Run(string(resource), func(t *testing.T) {
			f := newFixture(t, nil)
			f.behave(func(b *workfronttest.Behaviour) { b.SessionResource = resource })
			found := f.check(check.Request{})
			wantOK(t, found)
			if text := step(t, found, "7_call_as_user"); !strings.Contains(text, want) {
				t.Errorf("got %q, want %q in it", text, want)
			}
			f.wantNothingLeft()
		})
	}
	for resource, want := range map[workfronttest.SessionResource]string{
		workfronttest.SessionOtherUser:     "Workfront says that user_id of the session is another one than ",
		workfronttest.SessionOtherCustomer: "Workfront says that customer_id of the session is another one than ",
	} {
		t.Run(string(resource), func(t *testing.T) {
			f := newFixture(t, nil)
			f.behave(func(b *workfronttest.Behaviour) { b.SessionResource = resource })
			f.wantFailure(check.Request{}, "7_call_as_user", want)
			f.wantNothingLeft()
		})
	}
}

// What Workfront says in place of an ID is not shown: it could be the token.
func TestSessionResourceIsNotQuoted(t *testing.T) {
	f := newFixture(t, nil)
	f.use(&scripted{
		exchange: started(""), strict: true,
		session: `{"data":{"userID":"` + scriptedToken + `","customerID":"` + scriptedToken + `"}}`,
	})
	found := f.check(check.Request{Observe: true})
	if found.FailedStep != "7_call_as_user" {
		t.Errorf("got %+v, want a failure of the call", found)
	}
	if text := fmt.Sprintf("%+v", found); strings.Contains(text, scriptedToken) {
		t.Errorf("got %s, want no token in it", text)
	}
}

// What Workfront states in part is compared in part.
func TestSessionResourceInPart(t *testing.T) {
	for _, tt := range []struct{ name, session, note, warning string }{
		{"empty", `{"data":{}}`, "not compared", ""},
		{"dead", `{"error":{"message":"You are not currently logged in."}}`, "not compared", ""},
		{"not JSON", `<html>`, "not compared", ""},
		{"user in other letters", `{"data":{"userID":"%USER%"}}`, ", user_id confirmed", ""},
		{
			"other versions", `{"data":{"userID":"%USER%","versionInformation":{"apiVersions":["20.0","21.0"]}}}`,
			", user_id confirmed", "does not list api_version v22.0 among the versions that it offers (v20.0, v21.0)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.use(&scripted{
				exchange: started(""), strict: true,
				session: strings.ReplaceAll(tt.session, "%USER%", strings.ToUpper(f.User.ID)),
			})
			found := f.check(check.Request{})
			wantOK(t, found)
			if text := step(t, found, "7_call_as_user"); !strings.Contains(text, tt.note) {
				t.Errorf("got %q, want %q in it", text, tt.note)
			}
			warnings := strings.Join(found.Warnings, "\n")
			if !strings.Contains(warnings, tt.warning) || tt.warning == "" && warnings != "" {
				t.Errorf("warnings: got %q, want %q", warnings, tt.warning)
			}
		})
	}
}
