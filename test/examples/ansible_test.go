//go:build e2e

package examples

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestAnsible runs both playbooks as their page says: on an empty Vault, then again, then with a session.
func TestAnsible(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		t.Fatal("ansible is not installed: apt-get install ansible python3-hvac")
	}
	r := startRig(t)
	p := r.openPage(t, "ansible",
		"https://acme.my.workfront.com", r.workfront.URL(),
		"54d2a6b1c3f7485e9f0b1d2c3e4f5a6b", r.workfront.App.ClientID,
		"61e8c0a9b7d64f3c8a2b5d4e6f708192", r.workfront.App.CustomerID,
		"77f1d3b5a9c84e2d9b6a4c5d7e8f9012", r.workfront.User.ID,
		"further_settings: {}", "further_settings: {allow_custom_host: true, ca_cert: \"{{ lookup('ansible.builtin.file', '"+r.path("ca.pem")+"') }}\"}",
	)
	p.env = []string{
		"VAULT_TOKEN=" + r.Root.Token(), "WORKFRONT_CA_FILE=" + r.path("ca.pem"),
		"ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCALHOST_WARNING=false", "LC_ALL=C.UTF-8", "ANSIBLE_VERBOSITY=3",
	}
	write(t, p.dir+"/client-secret", r.workfront.App.ClientSecret, 0o600)
	setup := p.left[0]
	out := p.next(t, "ansible-playbook setup.yml")
	p.left = append([]string{setup}, p.left...)
	out += p.next(t, "ansible-playbook setup.yml") // again: nothing fails, and the key is the same
	if !strings.Contains(out, "skipping: [localhost]") {
		t.Errorf("the second run skipped nothing:\n%s", out)
	}
	certificate, err := os.ReadFile(p.dir + "/certificate_pub.crt")
	if err != nil {
		t.Fatal(err)
	}
	r.addPublicKey(t, string(certificate))

	use := p.left[0]
	used := p.next(t, "ansible-playbook use.yml")
	if !strings.Contains(used, r.workfront.User.Name) {
		t.Errorf("the playbook does not show the user's name:\n%s", used)
	}
	r.waitNoSession(t)
	if got := r.workfront.Stats(); got.Started != 1 || got.LoggedOut != 1 {
		t.Errorf("%d sessions started, %d logged out; want 1 and 1", got.Started, got.LoggedOut)
	}

	// Workfront fails in between: the session is given back all the same.
	remove := r.workfront.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointAPI, Status: 500})
	defer remove()
	failed, err := p.shell(t, p.swap.Replace(use)).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Errorf("got %v, want the playbook to fail:\n%s", err, failed)
	}
	if got := r.workfront.Stats(); got.Started != 2 || got.LoggedOut != 2 {
		t.Errorf("%d sessions started, %d logged out; want 2 and 2:\n%s", got.Started, got.LoggedOut, failed)
	}
	r.waitNoSession(t)

	// At any verbosity, no token and no secret is printed.
	secrets := []string{r.workfront.App.ClientSecret}
	for _, request := range r.workfront.Requests() {
		secrets = append(secrets, request.Header.Values("sessionID")...)
	}
	if len(secrets) < 3 {
		t.Errorf("%d secrets to look for, want at least 3", len(secrets))
	}
	for _, secret := range secrets {
		if strings.Contains(out+used+string(failed), secret) {
			t.Errorf("the output holds a secret")
		}
	}
	p.end(t)
}
