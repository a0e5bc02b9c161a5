package check_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/check"
	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// The candidates, as their texts begin.
var candidates = []string{"The public key", "customer_id", "user_id", "client_id", "client_secret"}

// wantOrder checks that the causes begin so, in that order, and that the others are candidates as well.
func wantOrder(t *testing.T, causes []string, first ...string) {
	t.Helper()
	for i, want := range first {
		if i >= len(causes) || !strings.HasPrefix(causes[i], want) {
			t.Fatalf("got %q, want cause %d to begin with %q", causes, i+1, want)
		}
	}
	for _, want := range candidates {
		if !strings.Contains("\n"+strings.Join(causes, "\n"), "\n"+want) {
			t.Errorf("got %q, want a cause that begins with %q", causes, want)
		}
	}
}

// A reason that Workfront gives is used, in whatever form it gives it; where it gives none, nothing is decided.
func TestReasonOfARefusal(t *testing.T) {
	for _, form := range []workfronttest.RefusalForm{
		workfronttest.RefusalOAuthService, workfronttest.RefusalRFC6749, workfronttest.RefusalAPI,
		workfronttest.RefusalMessage,
	} {
		t.Run(string(form), func(t *testing.T) {
			f := newFixture(t, nil)
			for _, told := range []bool{false, true} {
				f.behave(func(b *workfronttest.Behaviour) { b.RefusalForm, b.TellReasons = form, told })
				orders := map[string][]string{"secret": candidates, "customer": candidates}
				if told {
					orders = map[string][]string{
						"secret":   {"client_id", "client_secret", "The public key"},
						"customer": {"The public key", "user_id", "customer_id", "client_id"},
					}
				}
				f.config(settings.Changes{settings.FieldClientSecret: "wrong"})
				wantOrder(t, f.wantFailure(check.Request{}, "6_exchange", ""), orders["secret"]...)
				f.move(settings.Changes{settings.FieldCustomerID: "wrong"})
				wantOrder(t, f.wantFailure(check.Request{}, "6_exchange", ""), orders["customer"]...)
				f.config(settings.Changes{settings.FieldCustomerID: f.App.CustomerID})
			}
		})
	}
}

// What was seen on the way comes before the candidates of a JWT, and behind those of a client that Workfront names.
func TestReasonAndAClockThatIsOff(t *testing.T) {
	f := newFixture(t, nil)
	f.behave(func(b *workfronttest.Behaviour) { b.TellReasons, b.ClockOffset = true, time.Hour })
	wantOrder(t, f.wantFailure(check.Request{}, "6_exchange", ""), "Workfront's clock", "The public key")
	for code, first := range map[string][]string{
		"invalid_client":      {"client_id", "client_secret", "Workfront's clock", "The public key"},
		"unauthorized_client": {"client_id"},
		"invalid_request":     {"Workfront did not understand the request", "Workfront's clock", "The public key"},
		"invalid_token":       {"Workfront's clock", "The public key", "user_id", "customer_id"},
		"server_busy":         {"Workfront's clock", "The public key", "customer_id"},
	} {
		t.Run(code, func(t *testing.T) {
			f.t = t
			remove := f.Inject(workfronttest.Fault{
				Endpoint: workfronttest.EndpointExchange, Status: http.StatusBadRequest,
				Body: `{"error":"` + code + `"}`,
			})
			defer remove()
			wantOrder(t, f.wantFailure(check.Request{}, "6_exchange", ""), first...)
		})
	}
}

// The path of a mount may hold blanks: commands are quoted.
func TestCommandsAreQuoted(t *testing.T) {
	f := newFixture(t, settings.Changes{settings.FieldClientSecret: "wrong"})
	causes := strings.Join(f.wantFailure(check.Request{Mount: "work front/"}, "6_exchange", ""), "\n")
	for _, want := range []string{
		"`vault read -field=certificate 'work front/keys/default'`",
		"`vault write 'work front/config' base_url=... client_secret=...`",
	} {
		if !strings.Contains(causes, want) {
			t.Errorf("got\n%s\nwant %s in it", causes, want)
		}
	}
}

func TestAPIVersion(t *testing.T) {
	t.Run("retired", func(t *testing.T) {
		f := newFixture(t, settings.Changes{settings.FieldAPIVersion: "v18.0"})
		f.behave(func(b *workfronttest.Behaviour) { b.RetiredVersions = []string{"v18.0"} })
		causes := f.wantFailure(check.Request{}, "7_call_as_user", "no longer offers api_version v18.0")
		if want := "`vault patch workfront/config api_version=v22.0`"; !strings.Contains(causes[0], want) {
			t.Errorf("got %q, want %s in it", causes[0], want)
		}
	})
	for _, tt := range []struct {
		version string
		now     time.Time
		want    string // "": no warning
	}{
		{"v17.0", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ""},
		{"v17.0", time.Date(2026, 9, 30, 0, 0, 0, 0, time.UTC), "ends in October 2026"},
		{"v17.0", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), "ended in October 2026"},
		{"v9.0", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "has ended"},
		{"v15.0", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "has ended"},
		{"v16.0", time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), "ended in April 2026"},
		{"v18.0", time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC), ""},
		{"v18.0", time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), "ends in April 2027"},
		{"v19.0", time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), ""},
		{"v19.0", time.Date(2027, 9, 30, 0, 0, 0, 0, time.UTC), "ends in October 2027"},
		{"v20.0", time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC), "ends in April 2028"},
		{"v21.0", time.Date(2028, 10, 1, 0, 0, 0, 0, time.UTC), "ended in October 2028"},
		{"v23.0", time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC), ""}, // its date is not known
		{"v22.0", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), ""},
		{"v22.0", time.Date(2029, 5, 1, 0, 0, 0, 0, time.UTC), "ended in April 2029"},
	} {
		t.Run(tt.version+tt.now.Format(" 2006-01-02"), func(t *testing.T) {
			f := newFixture(t, settings.Changes{settings.FieldAPIVersion: tt.version})
			f.checker.Now = func() time.Time { return tt.now }
			warnings := strings.Join(f.check(check.Request{}).Warnings, "\n")
			if got := strings.Contains(warnings, "support for api_version "+tt.version+" "+tt.want); got != (tt.want != "") {
				t.Errorf("warnings: got %q, want %q", warnings, tt.want)
			}
		})
	}
}
