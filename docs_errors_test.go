package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// errorRow is an error that a request provokes, and what to do about it.
type errorRow struct {
	provoke errorRequest
	remedy  string
}

// errorRequest provokes an error at a mount that is ready to issue tokens.
type errorRequest func(m *mount, w *standIn) (*logical.Response, error)

type errorSection struct {
	title, about string
	rows         []errorRow
}

// TestDocsErrors: docs/errors.md holds the errors as requests provoke them.
func TestDocsErrors(t *testing.T) {
	var page strings.Builder
	page.WriteString(generatedNote + errorsIntroduction)
	var texts []string
	for _, section := range errorSections(t) {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n| status | text | what to do |\n|---|---|---|\n", section.title, section.about)
		for _, row := range section.rows {
			t.Run(section.title, func(t *testing.T) {
				m, w := ready(t, nil)
				status, text := statusAndText(t, row, m, w)
				if slices.Contains(texts, text) {
					t.Errorf("two rows for %q", text)
				}
				texts = append(texts, text)
				fmt.Fprintf(&page, "| %d | %s | %s |\n", status, codeSpan(text), row.remedy)
			})
		}
	}
	wantPage(t, filepath.Join("docs", "errors.md"), page.String())
	for _, missing := range errorsWithoutRow(t, texts) {
		t.Errorf("no row of errorSections provokes %s", missing)
	}
}

// statusAndText are the HTTP status and the text that Vault answers an error with.
func statusAndText(t *testing.T, row errorRow, m *mount, w *standIn) (status int, text string) {
	t.Helper()
	resp, err := row.provoke(m, w)
	var coded logical.HTTPCodedError
	switch {
	case err == nil && resp.IsError():
		status, text = http.StatusBadRequest, resp.Error().Error()
	case err == nil:
		t.Fatalf("got %v, want an error; to be told: %s", resp, row.remedy)
	case errors.As(err, &coded):
		status, text = coded.Code(), err.Error()
	case strings.HasPrefix(err.Error(), "cannot renew lease"):
		status, text = http.StatusBadRequest, err.Error() // so Vault answers every failure of a renewal
	default:
		status, text = http.StatusInternalServerError, err.Error()
	}
	text = strings.NewReplacer(w.URL(), "https://acme.my.workfront.com", strings.TrimPrefix(w.URL(), "https://"), "192.0.2.1:443").Replace(text)
	for _, form := range errorForms {
		text = form.found.ReplaceAllString(text, form.instead)
	}
	return status, text
}

// errorForms replace what differs from run to run.
var errorForms = []struct {
	found   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "192.0.2.1:443"},
	{regexp.MustCompile(`in the time allowed( \(request_timeout\))?`), "in the time allowed (request_timeout)"}, // whoever notices first
	{regexp.MustCompile(`([0-9A-F]{2}:){31}[0-9A-F]{2}`), "3A:F1:...:9C"},
	{regexp.MustCompile(`none in the next \d+s`), "none in the next 30s"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "2026-12-01T09:30:00Z"},
	{regexp.MustCompile(`\b[0-9a-f]{32,}\b`), "SESSION_ID"},
}

// codeSpan is text as code, in a table.
func codeSpan(text string) string {
	text = strings.ReplaceAll(text, "|", `\|`)
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

const errorsIntroduction = `# Errors

Every error text of the plugin with its HTTP status, as a test provoked it, and what to do. Fields, names, numbers and
hosts vary. A text may follow the operation that failed, such as ` + "`exchange jwt:`" + `. Of what Workfront says, only
[known words](security.md#anyone-who-reads-vaults-storage-logs-audit-or-events) are shown:
` + "`…`" + ` stands for the others, and ` + "`(not shown: n words)`" + ` for a text with too few.

- **400**: something to correct, in Vault or in Workfront. **404**: nothing there to patch.
- **502**: Workfront is unreachable, overloaded or broken.
- **503**: not now. Vault's client libraries [retry it](operations.md#retries-by-clients).
- **500**: storage, or an entry in it.

If the text does not help, run ` + "`vault write -f workfront/check`" + `, and see [troubleshooting](troubleshooting.md).
`

const (
	opWrite  = logical.UpdateOperation
	opPatch  = logical.PatchOperation
	opRead   = logical.ReadOperation
	opDelete = logical.DeleteOperation
)

// sends is a request that fails by itself.
func sends(op logical.Operation, path string, data map[string]any) errorRequest {
	return func(m *mount, _ *standIn) (*logical.Response, error) { return m.request(op, path, data) }
}

// sets writes one field, by default of config.
func sets(field string, value any) errorRequest {
	return sends(opWrite, "config", map[string]any{field: value})
}

func generates(field string, value any) errorRequest {
	return sends(opWrite, "keys/k/generate", map[string]any{field: value})
}

// after prepares mount and Workfront for a request.
func after(prepare func(m *mount, w *standIn), then errorRequest) errorRequest {
	return func(m *mount, w *standIn) (*logical.Response, error) {
		prepare(m, w)
		return then(m, w)
	}
}

// readsToken reads a token, without retries, from a Workfront whose exchange goes wrong in that way.
func readsToken(fault workfronttest.Fault) errorRequest {
	return after(func(m *mount, w *standIn) {
		m.write("config", map[string]any{"max_retries": 0})
		if fault.Hang != "" { // the request has to be sent within it, on a busy machine, too
			m.write("config", map[string]any{"request_timeout": "2s"})
			m.readToken(nil)
		}
		fault.Endpoint = workfronttest.EndpointExchange
		w.Inject(fault)
	}, sends(opRead, "token", nil))
}

// renews renews a lease after something has happened to it.
func renews(before func(m *mount, l *lease)) errorRequest {
	return func(m *mount, _ *standIn) (*logical.Response, error) {
		m.write("roles/reports", nil)
		l := m.readTokenAt("token/reports", nil)
		before(m, l)
		return l.request(logical.RenewOperation)
	}
}

// stored puts an entry into storage as nobody should.
func stored(key, value string) func(*mount, *standIn) {
	return func(m *mount, _ *standIn) {
		m.storage.Set(m.t, key, value)
		m.restart() // nothing of it is in memory
	}
}

// Why an error text of the code has no row.
const (
	inside      = "never shown: the code acts on it, or replaces it"
	partOfOne   = "the middle of a text that has a row"
	unreachable = "a second line of defence: what comes in front of it finds the fault"
	inCheck     = "only in an answer of check"
	inRace      = "needs a race or a wait that cannot be had for certain; the package has a test of it"
)

// errorsWithReason are the error texts that have none, by the reason.
var errorsWithReason = map[string][]string{
	inside: {
		"the session was changed while a lease on it was stored; try again",
		"the session is being ended",
		"malformed lease ID",
		"the settings were changed while they were being verified",
		"not found",
		"holds no certificate",
		"the proxy settings cannot be read",
		"the answer is too long",
		"the answer switches protocols",
		"the session was logged out meanwhile",
		"a logout failed there a moment ago",
	},
	partOfOne: {
		"left is not a set of the leases that its name allows",
		"its version is that of a development build",
		"its certificates are not those that its name stands for",
		"has a scheme other than http, https, socks5 and socks5h",
		"names no host",
		"has a port that is not between 1 and 65535",
		"names no host in its entry %d",
		"holds neither a host nor a CIDR block in its entry %d",
	},
	unreachable: {
		"the write was cut off",
		"request holds no lease",
		"lease holds no %s",
		"holds no readable certificate; copy the file again, whole",
		"holds %s as PEM block %d, which cannot be used as it is",
		"is damaged: it holds no readable private key; copy the file again, whole",
		"names a host longer than %d characters; check it for a slip in pasting",
		"holds a PEM block of another kind than CERTIFICATE; give the CA's certificates alone",
		"holds a damaged CERTIFICATE block; give the CA's certificates again, whole",
		"holds no PEM certificate; give the CA's certificate, beginning with -----BEGIN CERTIFICATE-----",
	},
	inCheck: {
		"workfront does not know the session: it has expired, or was logged out",
	},
	inRace: {
		"it kept returning a session that was being logged out",
		"workfront does not know the session that it has only just returned",
		"there was no connection through the proxy %s in the time allowed",
		"no request was sent to Workfront within request_timeout, because calls or storage were too slow; try again",
		"%d calls are under way, and %d at a time are allowed for now instead of max_connections, which is %d, because Workfront " +
			"%slimits the number of calls (HTTP status 429); share the session, or try again later",
	},
}

// errorsWithoutRow returns the error texts of the code that none of texts shows: a new one needs a row.
func errorsWithoutRow(t *testing.T, texts []string) (missing []string) {
	t.Helper()
	unused := map[string]bool{}
	for _, withReason := range errorsWithReason {
		for _, text := range withReason {
			unused[text] = true
		}
	}
	excused := maps.Clone(unused)
	for _, format := range errorFormats(t) {
		shown := slices.ContainsFunc(texts, format.pattern.MatchString)
		if !excused[format.text] && !shown {
			missing = append(missing, fmt.Sprintf("%s: %q", format.position, format.text))
		}
		if !shown {
			delete(unused, format.text)
		}
	}
	for text := range unused {
		t.Errorf("errorsWithReason has %q, which has a row, or is no error any more", text)
	}
	return missing
}

// errorFormat is the literal of an error in the code.
type errorFormat struct {
	text     string
	position token.Position
	pattern  *regexp.Regexp
}

var verb = regexp.MustCompile(`%[a-z]`)

// errorFormats finds the texts of the errors that a client can get: those given to the functions and types that make them.
func errorFormats(t *testing.T) []errorFormat {
	t.Helper()
	var found []errorFormat
	for _, dir := range []string{".", "internal/settings", "internal/pemtext", "internal/signingkey", "internal/workfront", "internal/session", "internal/ledger"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				for _, text := range errorTexts(n) {
					if strings.TrimSpace(verb.ReplaceAllString(text, "")) == "" || strings.HasSuffix(text, ": %w") {
						continue // it only passes on
					}
					parts := verb.Split(text, -1)
					for i := range parts {
						parts[i] = regexp.QuoteMeta(parts[i])
					}
					found = append(found, errorFormat{text, set.Position(n.Pos()), regexp.MustCompile(strings.Join(parts, ".*"))})
				}
				return true
			})
		}
	}
	return found
}

// errorTexts are the texts in a node that makes an error.
func errorTexts(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch fun := n.Fun.(type) {
		case *ast.Ident:
			name = fun.Name
		case *ast.SelectorExpr:
			name = fun.Sel.Name
		}
		argument, makes := map[string]int{
			"BadField": 1, "BadInput": 0, "New": 0, "Errorf": 0, "CodedError": 1, "unavailable": 0,
		}[name]
		if makes && len(n.Args) > argument {
			return literal(n.Args[argument])
		}
	case *ast.CompositeLit:
		var name string
		switch kind := n.Type.(type) {
		case *ast.Ident:
			name = kind.Name
		case *ast.SelectorExpr:
			name = kind.Sel.Name
		}
		if name == "BusyError" && len(n.Elts) == 1 {
			return literal(n.Elts[0])
		}
	case *ast.AssignStmt:
		if len(n.Lhs) != 1 || len(n.Rhs) != 1 {
			return nil
		}
		switch to := n.Lhs[0].(type) {
		case *ast.SelectorExpr:
			if to.Sel.Name == "Reason" {
				return literal(n.Rhs[0])
			}
		case *ast.Ident:
			if to.Name == "reason" {
				return literal(n.Rhs[0])
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
			return literal(n.Value)
		}
	}
	return nil
}

// literal is the text of an expression, with %s for what is not written there; none if nothing is.
func literal(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return []string{text}
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			return literal(e.Args[0])
		}
	case *ast.BinaryExpr:
		left, right := literal(e.X), literal(e.Y)
		if len(left)+len(right) > 0 {
			return []string{strings.Join(append(left, "%s"), "") + strings.Join(right, "")}
		}
	}
	return nil
}
