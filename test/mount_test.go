//go:build e2e

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
	"vault-plugin-secrets-workfront/test/vaultserver"
)

// workfront is a stand-in with one application and one user.
type workfront struct {
	*workfronttest.Integration
	// undelivered is how many sessions the test keeps the stand-in from telling its client of.
	undelivered int
}

// startWorkfront starts a stand-in whose sessions live that long; 0 is its default, half an hour.
func startWorkfront(t *testing.T, sessionTTL time.Duration) *workfront {
	t.Helper()
	return startWorkfrontAt(t, sessionTTL, time.Now)
}

// startWorkfrontAt is startWorkfront with a clock of its own for the lifetime of sessions.
func startWorkfrontAt(t *testing.T, sessionTTL time.Duration, now func() time.Time) *workfront {
	t.Helper()
	integration, err := workfronttest.StartIntegrationAs(
		workfronttest.Options{SessionTTL: sessionTTL, Now: now},
		workfronttest.Application{
			ClientID: workfronttest.NewID(), ClientSecret: canaryMark + workfronttest.NewID(), CustomerID: workfronttest.NewID(),
		},
		workfronttest.User{ID: workfronttest.NewID(), Name: "Integration", EmailAddr: "integration@example.com"},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(integration.Close)
	return &workfront{Integration: integration}
}

// upload adds a public key to the application, as the user would in Workfront's Setup.
func (w *workfront) upload(t *testing.T, pem string) (fingerprint string) {
	t.Helper()
	fingerprint, err := w.Upload(pem)
	if err != nil {
		t.Fatal(err)
	}
	return fingerprint
}

// settings are a config that fits the stand-in.
func (w *workfront) settings() map[string]any {
	return map[string]any{
		"base_url":          w.URL(),
		"ca_cert":           w.CACert(),
		"allow_custom_host": true,
		"client_id":         w.App.ClientID,
		"client_secret":     w.App.ClientSecret,
		"customer_id":       w.App.CustomerID,
		"user_id":           w.User.ID,
	}
}

// call uses a session for an API call and returns the status and the body of the answer.
func (w *workfront) call(t *testing.T, accessToken string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.URL()+"/attask/api/v22.0/user/"+w.User.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("sessionID", accessToken)
	resp, err := w.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// accounts tells whether every session is accounted for, that many of them alive and none unknown to any client, but for
// those of the test.
func (w *workfront) accounts(alive int) error {
	s := w.Stats()
	if s.Started != s.LoggedOut+s.Expired+s.Alive+s.Undelivered || s.Alive != alive || s.Undelivered != w.undelivered {
		return fmt.Errorf("sessions: %+v; want %d alive, %d undelivered, and a balance", s, alive, w.undelivered)
	}
	return nil
}

// mount is a mount of the plugin.
type mount struct {
	*vaultServer
	path   string // without the slash at its end
	client *api.Client
}

var names atomic.Int64

// uniqueName makes a name for something of this test.
func uniqueName(t *testing.T) string {
	top, _, _ := strings.Cut(t.Name(), "/")
	return fmt.Sprintf("%s-%d", strings.ToLower(top), names.Add(1))
}

// enable mounts the plugin. When the test is over, every session of the stand-ins must be accounted for and ended, and
// the ledger of the plugin be empty; only then is the mount disabled.
func enable(t *testing.T, v *vaultServer, path string, ws ...*workfront) *mount {
	t.Helper()
	return enableAs(t, pluginName, v, path, ws...)
}

// enableAs is enable for the plugin as it is registered under that name.
func enableAs(t *testing.T, name string, v *vaultServer, path string, ws ...*workfront) *mount {
	t.Helper()
	m := &mount{vaultServer: v, path: path, client: v.root}
	if err := v.root.Sys().Mount(path, &api.MountInput{Type: name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, w := range ws {
			if err := w.accounts(0); err != nil {
				t.Errorf("at the end of the test: %v", err)
			}
		}
		if m.isMounted(t) {
			m.wantEmptyLedger(t)
			if err := v.root.Sys().Unmount(path); err != nil {
				t.Errorf("disable: %v", err)
			}
		}
	})
	return m
}

// issuing makes a mount that is ready to issue sessions of a stand-in: with the run's imported key, and a config with
// the settings given besides the necessary ones.
func issuing(t *testing.T, v *vaultServer, w *workfront, settings map[string]any) *mount {
	t.Helper()
	return issuingAs(t, pluginName, v, w, settings)
}

// issuingAs is issuing for the plugin as it is registered under that name.
func issuingAs(t *testing.T, name string, v *vaultServer, w *workfront, settings map[string]any) *mount {
	t.Helper()
	m := enableAs(t, name, v, uniqueName(t), w)
	key := opensslKey(t)
	m.write(t, "keys/default/import", map[string]any{"private_key": key.private, "certificate": key.certificate})
	w.upload(t, key.certificate)
	m.configure(t, w, settings)
	return m
}

// configure writes config for the stand-in, with further settings.
func (m *mount) configure(t *testing.T, w *workfront, settings map[string]any) *api.Secret {
	t.Helper()
	all := w.settings()
	maps.Copy(all, settings)
	return m.write(t, "config", all)
}

func (m *mount) write(t *testing.T, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := m.client.Logical().Write(m.path+"/"+path, data)
	if err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	return secret
}

// patch patches config.
func (m *mount) patch(data map[string]any) (*api.Secret, error) { return m.patchAt("config", data) }

func (m *mount) patchAt(path string, data map[string]any) (*api.Secret, error) {
	return m.client.Logical().JSONMergePatch(context.Background(), m.path+"/"+path, data)
}

// read returns the data at a path, nil if there is none.
func (m *mount) read(t *testing.T, path string) map[string]any {
	t.Helper()
	secret, err := m.client.Logical().Read(m.path + "/" + path)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if secret == nil {
		return nil
	}
	return secret.Data
}

func (m *mount) delete(t *testing.T, path string) {
	t.Helper()
	if _, err := m.client.Logical().Delete(m.path + "/" + path); err != nil {
		t.Fatalf("delete %s: %v", path, err)
	}
}

// readToken reads a token; ttl is left out if it is "".
func (m *mount) readToken(ttl string) (*api.Secret, error) {
	params := map[string][]string{}
	if ttl != "" {
		params["ttl"] = []string{ttl}
	}
	return m.client.Logical().ReadWithData(m.path+"/token", params)
}

// tokenPath is where tokens of a role are read, or those of the defaults if it is "".
func (m *mount) tokenPath(role string) string {
	return strings.TrimSuffix(m.path+"/token/"+role, "/")
}

// readRole reads a token of a role, or of the defaults if it is "".
func (m *mount) readRole(role string) (*api.Secret, error) {
	return m.client.Logical().Read(m.tokenPath(role))
}

// token reads a token with a lease.
func (m *mount) token(t *testing.T, ttl string) *api.Secret {
	t.Helper()
	secret, err := m.readToken(ttl)
	return leased(t, secret, err)
}

// roleToken is token for a role.
func (m *mount) roleToken(t *testing.T, role string) *api.Secret {
	t.Helper()
	secret, err := m.readRole(role)
	return leased(t, secret, err)
}

func leased(t *testing.T, secret *api.Secret, err error) *api.Secret {
	t.Helper()
	if err != nil {
		t.Fatalf("read token: %v", err)
	}
	if secret == nil || secret.LeaseID == "" || accessToken(secret) == "" {
		t.Fatalf("read token: no lease or no token in the answer")
	}
	return secret
}

func accessToken(secret *api.Secret) string {
	token, _ := secret.Data["access_token"].(string)
	return token
}

// revoke ends a lease and waits for it.
func (m *mount) revoke(t *testing.T, secret *api.Secret) {
	t.Helper()
	if err := m.tryRevoke(secret); err != nil {
		t.Fatalf("revoke: %v", err)
	}
}

// revokeAll ends all leases of the mount and waits for it.
func (m *mount) revokeAll(t *testing.T) {
	t.Helper()
	if err := m.root.Sys().RevokeWithOptions(&api.RevokeOptions{LeaseID: m.path, Prefix: true, Sync: true}); err != nil {
		t.Fatalf("revoke all: %v", err)
	}
}

// tryRevoke is synchronous, unlike `vault lease revoke`: an error of the plugin comes back.
func (m *mount) tryRevoke(secret *api.Secret) error {
	return m.root.Sys().RevokeWithOptions(&api.RevokeOptions{LeaseID: secret.LeaseID, Sync: true})
}

// lookup returns what Vault knows of a lease.
func (m *mount) lookup(t *testing.T, leaseID string) (ttl time.Duration, ends time.Time, renewable bool) {
	t.Helper()
	secret, err := m.root.Sys().Lookup(leaseID)
	if err != nil {
		t.Fatalf("look lease up: %v", err)
	}
	seconds, err := secret.Data["ttl"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := secret.Data["expire_time"].(string)
	if ends, err = time.Parse(time.RFC3339Nano, text); err != nil {
		t.Fatal(err)
	}
	renewable, _ = secret.Data["renewable"].(bool)
	return time.Duration(seconds) * time.Second, ends, renewable
}

// leaseEnd returns when Vault will end a lease.
func (m *mount) leaseEnd(leaseID string) (time.Time, error) {
	secret, err := m.root.Sys().Lookup(leaseID)
	if err != nil {
		return time.Time{}, fmt.Errorf("look lease up: %w", err)
	}
	text, _ := secret.Data["expire_time"].(string)
	return time.Parse(time.RFC3339Nano, text)
}

// sessionEnd reads the field expires_at.
func sessionEnd(t *testing.T, secret *api.Secret) time.Time {
	t.Helper()
	text, _ := secret.Data["expires_at"].(string)
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("expires_at: %v", err)
	}
	return end
}

// storage is where Vault keeps what the plugin stores, below sys/raw; "" if the mount is gone.
func (m *mount) storage(t *testing.T) string {
	t.Helper()
	mounts, err := m.root.Sys().ListMounts()
	if err != nil {
		t.Fatal(err)
	}
	if entry := mounts[m.path+"/"]; entry != nil {
		return "sys/raw/logical/" + entry.UUID
	}
	return ""
}

func (m *mount) isMounted(t *testing.T) bool { return m.storage(t) != "" }

// pendingFolder is where the plugin's storage names the sessions whose logout is pending.
const pendingFolder = "pending"

// list returns the names in a folder of the plugin's storage, "" being its top.
func (m *mount) list(t *testing.T, folder string) []string {
	t.Helper()
	listed, err := m.root.Logical().List(m.storage(t) + "/" + folder)
	if err != nil {
		t.Fatalf("list storage: %v", err)
	}
	if listed == nil {
		return nil
	}
	var names []string
	for _, name := range listed.Data["keys"].([]any) {
		names = append(names, name.(string))
	}
	return names
}

// wantEmptyLedger looks into the plugin's storage: when no lease is left, there is nothing but settings and keys. The
// records go a moment after the answer to the logout, which the stand-in has counted by then.
func (m *mount) wantEmptyLedger(t *testing.T) {
	t.Helper()
	err := vaultserver.Poll(10*time.Second, func() error {
		for _, name := range m.list(t, "") {
			if !slices.Contains([]string{"config", "keys/", "roles/", "shared/", "trust/", "maintenance"}, name) {
				return fmt.Errorf("storage holds %s", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("at the end of the test: %v", err)
	}
}

// wantError checks an error of Vault's: its HTTP status, and texts that it must hold.
func wantError(t *testing.T, err error, status int, texts ...string) {
	t.Helper()
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		t.Errorf("got %v, want an answer of status %d", err, status)
		return
	}
	if answer.StatusCode != status {
		t.Errorf("got status %d, want %d: %v", answer.StatusCode, status, err)
	}
	for _, text := range texts {
		if !strings.Contains(strings.Join(answer.Errors, "\n"), text) {
			t.Errorf("got %q, want it to hold %q", answer.Errors, text)
		}
	}
}
