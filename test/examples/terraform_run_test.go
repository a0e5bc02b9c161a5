//go:build e2e && terraform

package examples

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// TestTerraform runs the module as its page says: one state, from the first apply to destroy. After each change, a plan is
// empty.
func TestTerraform(t *testing.T) {
	t.Parallel()
	s := openStack(t)
	for _, stage := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"create", s.create},
		{"use", s.use},
		{"change", s.change},
		{"drift", s.drift},
		{"rotate", s.rotate},
		{"secret", s.changeSecret},
		{"refuse", s.refuse},
		{"move", s.move},
		{"destroy", s.destroy},
	} {
		if !t.Run(stage.name, stage.run) {
			return
		}
	}
}

// create types what the page says.
func (s *stack) create(t *testing.T) {
	if len(s.left) == 0 {
		t.Fatal("the page has no commands")
	}
	apply := s.shell(t, s.left[0])
	s.left = s.left[1:]
	s.end(t)
	apply.Stdin = strings.NewReader(s.rig.workfront.App.ClientSecret + "\nyes\n")
	if out := run(t, apply); strings.Contains(out, s.rig.workfront.App.ClientSecret) {
		t.Errorf("the client secret is shown:\n%s", out)
	}
	s.secret = s.rig.workfront.App.ClientSecret
	s.plan(t, false)
	certificate, err := os.ReadFile(s.file("certificate_pub.crt"))
	if err != nil {
		t.Fatal(err)
	}
	s.rig.addPublicKey(t, string(certificate))
	if !strings.Contains(s.state(t), s.rig.workfront.App.ClientSecret) {
		t.Error("the client secret is not in the state; the page says that it is")
	}
}

// use reads a token with the module's policy for one role, and not for another.
func (s *stack) use(t *testing.T) {
	client, err := s.rig.NewClient(s.rig.token(t, "workfront/reports"))
	if err != nil {
		t.Fatal(err)
	}
	lease, err := client.Logical().Read("workfront/token/reports")
	if err != nil {
		t.Fatal(err)
	}
	if lease.LeaseDuration != 600 {
		t.Errorf("a lease of %d s, want 600", lease.LeaseDuration)
	}
	if _, err := client.Logical().Read("workfront/token/sync"); err == nil {
		t.Error("the policy of reports lets its holder read tokens of sync")
	}
	if _, err := client.Sys().Renew(lease.LeaseID, 0); err != nil {
		t.Errorf("renew: %v", err)
	}
	if err := client.Sys().Revoke(lease.LeaseID); err != nil {
		t.Errorf("revoke: %v", err)
	}
	s.rig.waitNoSession(t)
}

// change adds a role with a key of its own, removes one, changes a TTL, and trusts a CA more, from a file with text in it.
func (s *stack) change(t *testing.T) {
	ca := s.rig.workfront.CACert()
	write(t, s.file("ca.pem"), "# ours\n"+ca+"\r\n# again\r\n"+strings.ReplaceAll(strings.TrimSuffix(ca, "\n"), "\n", "\r\n"), 0o600)
	s.edit(t, "ttl = 600, max_ttl = 3600", "ttl = 900, max_ttl = 7200")
	s.edit(t, "sync    = { share_session = true }", `"ops@example.com" = { key = "ops" }`)
	s.apply(t)
	if got := s.read(t, "workfront/config")["ca_cert"]; got != ca+ca {
		t.Errorf("ca_cert is %q, want the two certificates alone", got)
	}
	if got := s.read(t, "workfront/roles/reports"); fmt.Sprintf("%v %v", got["ttl"], got["max_ttl"]) != "900 7200" {
		t.Errorf("the role reports is %v, want the new TTLs", got)
	}
	if got := s.read(t, "workfront/roles/ops@example.com"); got["key"] != "ops" {
		t.Errorf("the new role is %v, want the key ops", got)
	}
	if got := s.list(t, "workfront/roles"); !slices.Equal(got, []string{"ops@example.com", "reports"}) {
		t.Errorf("the roles are %q", got)
	}
	if got, err := s.rig.Root.Sys().ListPolicies(); err != nil || slices.Contains(got, "workfront/sync") {
		t.Errorf("the policies are %q, error %v; that of a removed role should be gone", got, err)
	}
	s.edit(t, `user_id       = "`+s.rig.workfront.User.ID+`"`, `ttl = null`) // the default; and user_id is reset
	s.apply(t)
	if got := s.read(t, "workfront/config"); got["user_id"] != "" {
		t.Errorf("config is %v, want no user_id", got)
	}
	s.edit(t, `ttl = null`, `user_id       = "`+s.rig.workfront.User.ID+`"`)
	s.apply(t)
}

// drift is what a plan says of what others changed.
func (s *stack) drift(t *testing.T) {
	s.rig.write(t, "workfront/config", map[string]any{"request_timeout": "20s"}) // not the module's
	s.plan(t, false)
	s.rig.write(t, "workfront/config", map[string]any{"max_ttl": "2h"})
	s.apply(t)
	if _, err := s.rig.Root.Logical().Delete("workfront/roles/reports"); err != nil {
		t.Fatal(err)
	}
	s.apply(t)
}

// rotate does what the page says of signing keys, goes back once, and lets go of the old key.
func (s *stack) rotate(t *testing.T) {
	s.edit(t, "allow_custom_host = true", "allow_custom_host = true\n  keys = [\"next\"]")
	s.edit(t, "value = module.workfront.certificate\n", "value = module.workfront.certificates[\"next\"]\n")
	s.apply(t)
	s.rig.addPublicKey(t, run(t, s.terraform(t, "output", "-raw", "certificate")))
	s.edit(t, `keys = ["next"]`, "key = \"next\"\n  keys = [\"default\"]")
	s.apply(t)
	s.check(t, "next")
	s.edit(t, "key = \"next\"\n  keys = [\"default\"]", `keys = ["next"]`)
	s.apply(t)
	s.check(t, "default")
	s.edit(t, `keys = ["next"]`, `key = "next"`)
	s.apply(t)
	s.check(t, "next")
	if got := s.list(t, "workfront/keys"); !slices.Equal(got, []string{"default", "next", "ops"}) {
		t.Errorf("the keys are %q; a key that is named no more should stay", got)
	}
	s.edit(t, `key = "next"`, "key = \"next\"\n  keys = [\"default\"]")
	if out, status := s.try(t, "apply", "-input=false", "-auto-approve"); status == 0 || !strings.Contains(out, "a key is never overwritten") {
		t.Errorf("a key that exists was named again: exit status %d:\n%s", status, out)
	}
	s.edit(t, "key = \"next\"\n  keys = [\"default\"]", `key = "next"`)
	s.plan(t, false)
}

// changeSecret is about a client secret that is forgotten, changed outside, and refused.
func (s *stack) changeSecret(t *testing.T) {
	right := s.secret
	s.secret = ""
	s.apply(t)
	if strings.Contains(s.state(t), right) {
		t.Error("the client secret is in the state of an apply without it")
	}
	s.check(t, "next") // config is still there
	s.secret = right
	s.apply(t)

	rewrite := func() {
		t.Helper()
		_, command, _ := strings.Cut(example(t, "terraform/README.md"), "\nterraform state rm '")
		address, _, _ := strings.Cut(command, "'\n")
		run(t, s.terraform(t, "state", "rm", address))
		s.apply(t)
		s.check(t, "next")
	}
	s.rig.write(t, "workfront/config", map[string]any{"client_secret": "another one"})
	s.plan(t, false)
	rewrite()

	s.secret = strings.Repeat("x", 5000)
	if out, status := s.try(t, "apply", "-input=false", "-auto-approve"); status != 1 || !strings.Contains(out, "client_secret is longer than") {
		t.Fatalf("a secret that is too long: exit status %d:\n%s", status, out)
	}
	if !strings.Contains(s.state(t), s.secret) {
		t.Error("the state holds no secret that Vault refused; the page says that it does")
	}
	s.plan(t, false)
	s.secret = right
	rewrite()
}

// refuse plans values that Vault would return in another form, or not take.
func (s *stack) refuse(t *testing.T) {
	write(t, s.file("key.pem"), s.rig.workfront.CACert()+"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)
	line := "user_id       = \"" + s.rig.workfront.User.ID + "\""
	for _, c := range []struct{ old, new, want string }{
		{line, line + "\n  ttl = \"10m\"", "a number is required"},
		{line, line + "\n  ttl = 0.5", "ttl must be a whole number of seconds"},
		{line, line + "\n  max_ttl = -1", "max_ttl must be a whole number of seconds"},
		{line, `user_id = "https://acme.my.workfront.com/user/` + s.rig.workfront.User.ID + `"`, "user_id must be the ID alone"},
		{line, `user_id = " ` + s.rig.workfront.User.ID + `"`, "user_id must be the ID alone"},
		{s.rig.workfront.URL(), s.rig.workfront.URL() + "/", "base_url must be https://"},
		{s.rig.workfront.URL(), "https://ACME.my.workfront.com", "base_url must be https://"},
		{s.rig.workfront.URL(), "https://acme.my.workfront.com:443", "base_url must be https://"},
		{`file("ca.pem")`, `file("key.pem")`, "ca_cert must hold certificates alone"},
		{`file("ca.pem")`, `"ca.pem"`, "ca_cert must hold certificates alone"},
		{`key = "next"`, `key = ""`, "key must consist of letters"},
		{`key = "next"`, `key = "a..b"`, "key must consist of letters"},
		{line, line + "\n  keys = [\"a/b\"]", "keys must consist of letters"},
		{line, line + "\n  path = \"Teams\"", "path must consist of lower-case letters"},
		{"    reports = {", "    Reports = {}\n    reports = {", "roles must differ by more than upper and lower case"},
		{"    reports = {", "    \"reports\\\" {}\" = {}\n    reports = {", "roles and their keys must be named with letters"},
		{"ttl = 900", "ttl = 1.5", "must be whole numbers of seconds"},
		{`key = "ops"`, `user_id = "/user/1"`, "user_id of a role must be the ID alone"},
	} {
		s.edit(t, c.old, c.new)
		out, status := s.try(t, "plan", "-input=false")
		if text := strings.Join(strings.Fields(out), " "); status != 1 || !strings.Contains(text, c.want) {
			t.Errorf("%s: exit status %d, want 1 and %q:\n%s", c.new, status, c.want, out)
		}
		s.edit(t, c.new, c.old)
	}
	right := s.secret
	s.secret = right + "\n"
	if out, status := s.try(t, "plan", "-input=false"); status != 1 || !strings.Contains(out, "client_secret must not be empty") ||
		strings.Contains(out, right) {
		t.Errorf("a secret with a line break: exit status %d:\n%s", status, out)
	}
	s.secret = right
	s.plan(t, false)
}

// move gives the mount another path, which the token is not allowed.
func (s *stack) move(t *testing.T) {
	s.env = append(s.env, "VAULT_TOKEN="+s.rig.Root.Token())
	s.read(t, "workfront/token/reports")
	s.edit(t, "allow_custom_host = true", "allow_custom_host = true\n  path = \"teams/a\"")
	s.apply(t)
	s.rig.waitNoSession(t)
	s.edit(t, "allow_custom_host = true\n  path = \"teams/a\"", "allow_custom_host = true")
	s.apply(t)
	s.rig.addPublicKey(t, run(t, s.terraform(t, "output", "-raw", "certificate")))
	s.check(t, "next")
}

// destroy leaves nothing behind, in Vault or at Workfront.
func (s *stack) destroy(t *testing.T) {
	before := s.rig.workfront.Stats()
	for range 3 {
		s.read(t, "workfront/token/reports")
	}
	run(t, s.terraform(t, "destroy", "-input=false", "-auto-approve"))
	s.rig.waitNoSession(t)
	if got := s.rig.workfront.Stats(); got.Started-before.Started != 3 || got.LoggedOut-before.LoggedOut != 3 {
		t.Errorf("%d sessions started, %d logged out; want 3 and 3", got.Started-before.Started, got.LoggedOut-before.LoggedOut)
	}
	mounts, err := s.rig.Root.Sys().ListMounts()
	if err != nil || mounts["workfront/"] != nil || mounts["teams/a/"] != nil {
		t.Errorf("the mounts are %v, error %v", mounts, err)
	}
	policies, err := s.rig.Root.Sys().ListPolicies()
	if left := slices.ContainsFunc(policies, func(name string) bool { return strings.HasPrefix(name, "workfront/") }); err != nil || left {
		t.Errorf("the policies are %q, error %v", policies, err)
	}
	if strings.Contains(s.state(t), s.secret) {
		t.Error("the client secret is in the state after destroy")
	}
}

// stack is the example, as a user keeps it.
type stack struct {
	*page
	secret string // TF_VAR_client_secret, unless it is ""
}

// openStack copies the example and sets its values to those of the rig. TERRAFORM_BIN is a Terraform or an OpenTofu. It
// takes the provider from the filesystem mirror that TERRAFORM_PROVIDERS names, or else from its registry. Its token is
// allowed what the page says.
func openStack(t *testing.T) *stack {
	t.Helper()
	binary := os.Getenv("TERRAFORM_BIN")
	if binary == "" {
		t.Fatal("TERRAFORM_BIN must be set: run make test-terraform")
	}
	r := startRig(t)
	if err := os.Symlink(binary, filepath.Join(r.bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	settings := ""
	if mirror := os.Getenv("TERRAFORM_PROVIDERS"); mirror != "" {
		settings = fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	}
	write(t, r.path("terraform.rc"), settings, 0o600)
	_, policy, _ := strings.Cut(example(t, "terraform/README.md"), "\n```hcl\n")
	policy, _, _ = strings.Cut(policy, "\n```\n")
	if err := r.Root.Sys().PutPolicy("terraform", example(t, "policies/admin.hcl")+policy); err != nil {
		t.Fatal(err)
	}
	token, err := r.Root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"terraform"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{page: r.openPage(
		t, "terraform",
		"https://acme.my.workfront.com", r.workfront.URL(),
		"54d2a6b1c3f7485e9f0b1d2c3e4f5a6b", r.workfront.App.ClientID,
		"61e8c0a9b7d64f3c8a2b5d4e6f708192", r.workfront.App.CustomerID,
		`user_id       = "77f1d3b5a9c84e2d9b6a4c5d7e8f9012"`,
		`user_id       = "`+r.workfront.User.ID+"\"\n"+`  ca_cert       = file("ca.pem")`+"\n  allow_custom_host = true",
	)}
	s.env = []string{
		"VAULT_TOKEN=" + token.Auth.ClientToken, "TF_CLI_CONFIG_FILE=" + r.path("terraform.rc"), "CHECKPOINT_DISABLE=1",
		"TF_CLI_ARGS=-no-color", "SSL_CERT_FILE=", // the registry's certificate is of another CA than the stand-in's
	}
	write(t, s.file("ca.pem"), r.workfront.CACert(), 0o600)
	return s
}

// file is one of the user's own.
func (s *stack) file(name string) string { return filepath.Join(s.dir, "example", name) }

// edit changes the user's own main.tf.
func (s *stack) edit(t *testing.T, old, new string) {
	t.Helper()
	content, err := os.ReadFile(s.file("main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), old) != 1 {
		t.Fatalf("main.tf does not hold %q once:\n%s", old, content)
	}
	write(t, s.file("main.tf"), strings.Replace(string(content), old, new, 1), 0o600)
}

func (s *stack) terraform(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.command(t, "terraform", args...)
	cmd.Dir = s.file("")
	if s.secret != "" {
		cmd.Env = append(cmd.Env, "TF_VAR_client_secret="+s.secret)
	}
	return cmd
}

// try returns what Terraform prints, and its exit status.
func (s *stack) try(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	printed, err := s.terraform(t, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return string(printed), status
}

// plan fails the test unless a plan has changes, or has none.
func (s *stack) plan(t *testing.T, changes bool) {
	t.Helper()
	out, status := s.try(t, "plan", "-input=false", "-detailed-exitcode")
	if want := map[bool]int{false: 0, true: 2}[changes]; status != want {
		t.Fatalf("plan: exit status %d, want %d:\n%s", status, want, out)
	}
}

// apply applies changes, after which there are none.
func (s *stack) apply(t *testing.T) {
	t.Helper()
	s.plan(t, true)
	run(t, s.terraform(t, "apply", "-input=false", "-auto-approve"))
	s.plan(t, false)
}

// check starts a session with a key of that name, and logs it out.
func (s *stack) check(t *testing.T, key string) {
	t.Helper()
	if got := s.read(t, "workfront/config")["key"]; got != key {
		t.Errorf("config has the key %v, want %s", got, key)
	}
	if answer := s.rig.write(t, "workfront/check", nil).Data; answer["ok"] != true {
		t.Errorf("check: %v", answer)
	}
}

func (s *stack) read(t *testing.T, path string) map[string]any {
	t.Helper()
	answer, err := s.rig.Root.Logical().Read(path)
	if err != nil || answer == nil {
		t.Fatalf("read %s: %v, %v", path, answer, err)
	}
	return answer.Data
}

func (s *stack) list(t *testing.T, path string) (names []string) {
	t.Helper()
	answer, err := s.rig.Root.Logical().List(path)
	if err != nil || answer == nil {
		t.Fatalf("list %s: %v, %v", path, answer, err)
	}
	for _, name := range answer.Data["keys"].([]any) {
		names = append(names, name.(string))
	}
	return names
}

func (s *stack) state(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(s.file("terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
