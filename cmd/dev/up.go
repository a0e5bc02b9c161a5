package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The environment that describes a real Workfront.
const (
	envBaseURL      = "WORKFRONT_BASE_URL"
	envClientID     = "WORKFRONT_CLIENT_ID"
	envClientSecret = "WORKFRONT_CLIENT_SECRET"
	envCustomerID   = "WORKFRONT_CUSTOMER_ID"
	envUserID       = "WORKFRONT_USER_ID"
	// envKeyFile is a private key whose public key is registered in Workfront. Without it a key is generated, and its
	// certificate printed to be registered.
	envKeyFile = "WORKFRONT_PRIVATE_KEY_FILE"
)

// up leaves a dev server running with the plugin mounted and configured, until Ctrl-C: for the simulator, or for a real
// Workfront when the environment describes one.
func up(ctx context.Context) (err error) {
	w, keyFile, err := realWorkfront()
	if err != nil {
		return err
	}
	which, err := anyServer(ctx)
	if err != nil {
		return err
	}
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	simulated := w == nil
	if simulated {
		if w, err = s.startSimulator(ctx); err != nil {
			return err
		}
	}
	// Files, because arguments show in ps.
	if err := os.WriteFile(s.path("client-secret"), []byte(w.ClientSecret), 0o600); err != nil {
		return err
	}
	if keyFile != "" {
		if err := copyFile(keyFile, s.path("private-key.pem"), 0o600); err != nil {
			return fmt.Errorf("%s: %w", envKeyFile, err)
		}
	}
	plugin, sum, err := builtPlugin()
	if err != nil {
		return err
	}
	d, err := s.startServer(ctx, which, plugin, sum)
	if err != nil {
		return err
	}
	// Sessions of a real Workfront would outlive this server, whose memory alone knows them.
	defer s.revokeAll(context.WithoutCancel(ctx), d)
	t := s.tell(ctx, terminal())
	t.configureDev(d, w, simulated, keyFile != "")
	if t.err != nil {
		return t.err
	}
	fmt.Printf(`
Ready. In another shell:
export VAULT_ADDR=%[1]s VAULT_TOKEN=%[2]s   # for bao: BAO_ADDR, BAO_TOKEN
export PATH=%[3]s:$PATH   # this server's own command
%[4]s read workfront/token

Logs: %[5]s/*.log. Ctrl-C ends it and removes everything.
`, d.address, d.token, quote(d.binDir), d.command(), s.dir)
	select {
	case <-ctx.Done():
		return nil
	case <-d.exited:
		return fmt.Errorf("the server exited by itself\n%s", d.lastLines(20))
	}
}

// realWorkfront is the Workfront that the environment describes, or nil, and the file with the private key for it.
func realWorkfront() (w *workfront, keyFile string, err error) {
	w = &workfront{}
	var set, missing []string
	for name, field := range map[string]*string{
		envBaseURL: &w.BaseURL, envClientID: &w.ClientID, envClientSecret: &w.ClientSecret,
		envCustomerID: &w.CustomerID, envUserID: &w.UserID,
	} {
		if *field = os.Getenv(name); *field == "" {
			missing = append(missing, name)
		} else {
			set = append(set, name)
		}
	}
	keyFile = os.Getenv(envKeyFile)
	switch {
	case len(set) == 0 && keyFile == "":
		return nil, "", nil
	case len(missing) > 0:
		return nil, "", fmt.Errorf("for a real Workfront, set also %s (or unset every WORKFRONT_* for the simulator)",
			strings.Join(missing, ", "))
	}
	if keyFile != "" {
		if _, err := os.Stat(keyFile); err != nil {
			return nil, "", fmt.Errorf("%s: %w", envKeyFile, err)
		}
	}
	return w, keyFile, nil
}

func (t *story) configureDev(d *devServer, w *workfront, simulated, imported bool) {
	vault := d.command()
	t.registerAndMount(d)
	if imported {
		t.run(vault + " write workfront/keys/default/import private_key=@private-key.pem")
		t.remove("private-key.pem")
	} else {
		t.run(vault + " write -f workfront/keys/default/generate")
	}
	t.run(vault + " read -field=certificate workfront/keys/default > workfront.crt")
	t.run(configure(vault, w))
	t.remove("client-secret")
	switch {
	case simulated:
		t.run(t.upload(w))
	case !imported:
		t.say(
			"Register this certificate in Workfront, as the user " + w.UserID + ": Setup > System > OAuth2 Applications >\n" +
				"your Machine to Machine application > Add a public key.\n" + t.readFile("workfront.crt"),
		)
	}
}

func (t *story) remove(name string) {
	if err := os.Remove(t.stage.path(name)); err != nil {
		t.err = errors.Join(t.err, err)
	}
}

// revokeAll logs out every session that has been issued.
func (s *stage) revokeAll(ctx context.Context, d *devServer) {
	fmt.Println("\nRevoking all leases, then stopping")
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	revoke := exec.CommandContext(ctx, d.path, "lease", "revoke", "-sync", "-prefix", "workfront/token")
	revoke.Env = slices.Concat(s.env, []string{"VAULT_CLIENT_TIMEOUT=30", "BAO_CLIENT_TIMEOUT=30"})
	if out, err := revoke.CombinedOutput(); err != nil {
		fmt.Printf("revoke: %v: %s\n", err, out)
	}
}
