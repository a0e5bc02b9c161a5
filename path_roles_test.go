package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/storagetest"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// addUser adds a user to Workfront with a public key of its own, and returns its ID.
func (w *standIn) addUser(t *testing.T, certificate string) string {
	t.Helper()
	user := workfronttest.User{ID: workfronttest.NewID(), Name: "Another"}
	if err := w.AddUser(user); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddPublicKey(w.App.ClientID, user.ID, certificate); err != nil {
		t.Fatal(err)
	}
	return user.ID
}

func TestRolesMergeAndPatch(t *testing.T) {
	m := newMount(t)
	if resp := m.must(logical.ListOperation, "roles/", nil); resp != nil {
		t.Errorf("list of no roles: got %v, want nothing", resp)
	}
	if got := m.read("roles/r"); got != nil {
		t.Errorf("no such role: got %v, want nothing", got)
	}
	m.wantStatus(404, logical.PatchOperation, "roles/r", map[string]any{settings.FieldTTL: "1m"}, "vault write")
	m.write("roles/r", nil)
	steps := []struct {
		name string
		op   logical.Operation
		data map[string]any
		want map[string]any
	}{
		{"empty", logical.UpdateOperation, nil, map[string]any{
			settings.FieldUserID: "", settings.FieldKey: "", settings.FieldTTL: 0, settings.FieldMaxTTL: 0, settings.FieldDescription: "",
		}},
		{"all fields", logical.UpdateOperation, map[string]any{
			settings.FieldUserID: "u", settings.FieldKey: "k", settings.FieldTTL: "1m", settings.FieldMaxTTL: "1h", settings.FieldShareSession: false, settings.FieldDescription: "reports",
		}, map[string]any{
			settings.FieldUserID: "u", settings.FieldKey: "k", settings.FieldTTL: 60, settings.FieldMaxTTL: 3600, settings.FieldShareSession: false, settings.FieldDescription: "reports",
		}},
		{"one field", logical.UpdateOperation, map[string]any{settings.FieldShareSession: true}, map[string]any{
			settings.FieldUserID: "u", settings.FieldKey: "k", settings.FieldTTL: 60, settings.FieldMaxTTL: 3600, settings.FieldShareSession: true, settings.FieldDescription: "reports",
		}},
		{"patch with null", logical.PatchOperation, map[string]any{
			settings.FieldUserID: nil, settings.FieldKey: nil, settings.FieldTTL: nil, settings.FieldMaxTTL: nil, settings.FieldShareSession: nil, settings.FieldDescription: nil,
		}, map[string]any{
			settings.FieldUserID: "", settings.FieldKey: "", settings.FieldTTL: 0, settings.FieldMaxTTL: 0, settings.FieldDescription: "",
		}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			m.t = t
			m.must(s.op, "roles/r", s.data)
			if got, want := asJSON(t, m.read("roles/r")), asJSON(t, s.want); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	m.t = t
	m.write("roles/a", nil)
	if got, want := asJSON(t, m.must(logical.ListOperation, "roles/", nil).Data), `{"keys":["a","r"]}`; got != want {
		t.Errorf("list: got %s, want %s", got, want)
	}
}

func TestRoleWarnings(t *testing.T) {
	m, _ := ready(t, nil)
	tests := []struct {
		name string
		data map[string]any
		want string
	}{
		{"user without key", map[string]any{settings.FieldUserID: "u"}, "ties a public key to the user"},
		{"key that is missing", map[string]any{settings.FieldKey: "k"}, "vault write -f workfront/keys/k/generate"},
		{"unknown field", map[string]any{settings.FieldKey: "default", "tll": "5m"}, "unrecognized parameters: [tll]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := m.write("roles/r", tt.data)
			if resp == nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), tt.want) {
				t.Errorf("warnings: got %v, want one that holds %q", resp, tt.want)
			}
		})
	}
}

// Unset role fields inherit from config.
func TestRoleInheritance(t *testing.T) {
	m, w := ready(t, map[string]any{settings.FieldTTL: "5m"})
	user := w.addUser(t, m.write("keys/own/generate", nil).Data[settings.FieldCertificate].(string))
	m.write("roles/plain", nil)
	m.write("roles/own", map[string]any{settings.FieldUserID: user, settings.FieldKey: "own", settings.FieldTTL: "2m", settings.FieldMaxTTL: "4m"})
	m.write("roles/broken", map[string]any{settings.FieldUserID: user}) // with the key of another user

	plain := m.readTokenAt("token/plain", nil)
	if plain.data[settings.FieldUserID] != w.User.ID || plain.secret.TTL != 5*time.Minute || plain.data[fieldRole] != "plain" {
		t.Errorf("plain: got user %v, ttl %s, role %v", plain.data[settings.FieldUserID], plain.secret.TTL, plain.data[fieldRole])
	}
	own := m.readTokenAt("token/own", nil)
	if own.data[settings.FieldUserID] != user || own.secret.TTL != 2*time.Minute || own.secret.MaxTTL != 4*time.Minute {
		t.Errorf("own: got user %v, ttl %s, max %s", own.data[settings.FieldUserID], own.secret.TTL, own.secret.MaxTTL)
	}
	m.wantRefused(logical.ReadOperation, "token/broken", nil, "refused")
	own.revoke()
	plain.revoke()

	m.write("config", map[string]any{settings.FieldTTL: "3m"}) // takes effect at once
	again := m.readTokenAt("token/plain", nil)
	if again.secret.TTL != 3*time.Minute {
		t.Errorf("after a change of config: got ttl %s, want 3m", again.secret.TTL)
	}
	again.revoke()
}

func TestKeyInUseByARole(t *testing.T) {
	m, _ := ready(t, nil)
	m.write("keys/k/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)})
	m.write("roles/a", map[string]any{settings.FieldKey: "k"})
	m.write("roles/b", map[string]any{settings.FieldKey: "k"})
	if got, want := asJSON(t, m.read("keys/k")[fieldUsedBy]), `["roles/a","roles/b"]`; got != want {
		t.Errorf("used by: got %s, want %s", got, want)
	}
	m.wantRefused(logical.DeleteOperation, "keys/k", nil, "name", "roles/a, roles/b")
	m.must(logical.PatchOperation, "roles/a", map[string]any{settings.FieldKey: nil})
	m.must(logical.DeleteOperation, "roles/b", nil)
	m.must(logical.DeleteOperation, "keys/k", nil)
}

func TestDeletedRole(t *testing.T) {
	m, w := ready(t, map[string]any{settings.FieldTTL: "5m"})
	m.write("roles/r", map[string]any{settings.FieldShareSession: true})
	l := m.readTokenAt("token/r", nil)
	m.must(logical.DeleteOperation, "roles/r", nil)
	m.must(logical.DeleteOperation, "roles/r", nil) // is idempotent
	m.wantRefused(logical.ReadOperation, "token/r", nil, "does not exist")
	if resp, err := l.request(logical.RenewOperation); err == nil {
		t.Errorf("renewal: got %v, want an error", resp)
	}
	if !w.SessionAlive(l.token()) {
		t.Error("the deletion ended a session that is leased")
	}
	l.revoke()
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on after the revocation")
	}
}

func TestSharedRole(t *testing.T) {
	m, w := ready(t, map[string]any{settings.FieldShareSession: true})
	m.write("roles/r", nil)
	m.write("roles/fresh", map[string]any{settings.FieldShareSession: false})
	a, b := m.readTokenAt("token/r", nil), m.readTokenAt("token/r", nil)
	if a.token() != b.token() {
		t.Error("two readers of a shared role got different sessions")
	}
	if c, d := m.readTokenAt("token/fresh", nil), m.readTokenAt("token/fresh", nil); c.token() == d.token() {
		t.Error("two readers of a fresh role got the same session")
	}
	if c := m.readToken(nil); c.token() == a.token() {
		t.Error("two roles share a session")
	}
	m.restart() // a new process goes on with it
	if c := m.readTokenAt("token/r", nil); c.token() != a.token() {
		t.Error("after a restart, a reader got another session")
	} else {
		c.revoke()
	}
	m.write("config", map[string]any{settings.FieldClientSecret: mustAddSecret(t, w)})
	if c := m.readTokenAt("token/r", nil); c.token() != a.token() {
		t.Error("another client secret replaced the session")
	} else {
		c.revoke()
	}
	user := w.addUser(t, testKey().CertificatePEM())
	m.write("roles/r", map[string]any{settings.FieldUserID: user, settings.FieldKey: "default"})
	c := m.readTokenAt("token/r", nil)
	if c.token() == a.token() {
		t.Error("after a change of the user, a reader got the session of the old one")
	}
	for _, l := range []*lease{a, b} {
		if !w.SessionAlive(a.token()) {
			t.Error("a leased session is dead")
		}
		l.revoke()
	}
	if w.SessionAlive(a.token()) {
		t.Error("the last lease did not log the session out")
	}
	c.revoke()
}

func mustAddSecret(t *testing.T, w *standIn) string {
	t.Helper()
	secret, err := w.AddSecret(w.App.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// Workfront holds two client secrets for a while, so that one can be replaced without a failed read.
func TestClientSecretRotation(t *testing.T) {
	m, w := ready(t, nil)
	secret := mustAddSecret(t, w)
	m.readToken(nil).revoke()
	m.must(logical.PatchOperation, "config", map[string]any{settings.FieldClientSecret: secret, fieldVerify: true})
	if err := w.RemoveSecret(w.App.ClientID, w.App.ClientSecret); err != nil {
		t.Fatal(err)
	}
	m.readToken(nil).revoke()
	m.wantRefused(logical.PatchOperation, "config", map[string]any{settings.FieldClientSecret: w.App.ClientSecret, fieldVerify: true}, "not stored")
	m.readToken(nil).revoke()
}

func TestVerifyConnection(t *testing.T) {
	m := newMount(t)
	w := newStandIn(t, m.clock.Now)
	verified := func(changes map[string]any) map[string]any {
		changes[fieldVerify] = true
		return w.settings(changes)
	}
	m.wantRefused(logical.UpdateOperation, "config", verified(map[string]any{settings.FieldUserID: ""}), "not stored", "user_id")
	m.wantRefused(logical.UpdateOperation, "config", verified(map[string]any{}), "not stored", "signing key")
	m.write("keys/default/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t), settings.FieldCertificate: testKey().CertificatePEM()})
	m.wantRefused(logical.UpdateOperation, "config", verified(map[string]any{}), "not stored", "refused")
	if got := m.read("config"); got != nil {
		t.Errorf("stored all the same: got %v", got)
	}
	w.upload(t, testKey().CertificatePEM())
	m.write("config", verified(map[string]any{}))
	before := asJSON(t, m.read("config"))

	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointExchange, Status: 503})
	m.wantStatus(502, logical.PatchOperation, "config", map[string]any{settings.FieldTTL: "1m", fieldVerify: true, settings.FieldMaxRetries: 0}, "not stored")
	w.ClearFaults()
	w.Inject(workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Status: 500})
	m.wantStatus(502, logical.PatchOperation, "config", map[string]any{settings.FieldTTL: "1m", fieldVerify: true}, "not stored", "logged out")
	w.ClearFaults()
	if got := asJSON(t, m.read("config")); got != before {
		t.Errorf("stored all the same: got %s, want %s", got, before)
	}
	m.clock.Advance(time.Minute)
	if _, err := m.request(logical.RollbackOperation, "", nil); err != nil {
		t.Fatal(err)
	}
	if stats := w.Stats(); stats.Started != 2 || stats.Alive != 0 {
		t.Errorf("sessions: got %+v, want 2 started and none left", stats)
	}
}

// No clean-up logs out a session that the ledger holds for a lease.
func TestVerifyAndCheckSpareASessionInUse(t *testing.T) {
	m, w := ready(t, nil)
	b := workfronttest.DefaultBehaviour()
	b.SameSession = true
	w.SetBehaviour(b)
	l := m.readToken(nil)
	m.write("config", map[string]any{fieldVerify: true})
	resp := m.write("check", nil)
	if resp.Data[fieldOK] != true || !strings.Contains(strings.Join(resp.Warnings, "\n"), "a lease already holds") {
		t.Errorf("check: got %v, warnings %v; want ok, and a warning", resp.Data, resp.Warnings)
	}
	if !w.SessionAlive(l.token()) {
		t.Error("a session that is leased was logged out")
	}
	l.revoke()
	if w.SessionAlive(l.token()) {
		t.Error("the session lives on after the revocation")
	}
}

// What was shared and is leased by nobody ends when it is shared no longer, whichever setting says so.
func TestUnleasedSessionEndsWithItsSharing(t *testing.T) {
	stops := map[string]func(m *mount){
		"role says so": func(m *mount) { m.write("roles/r", map[string]any{settings.FieldShareSession: false}) },
		"role leaves it to config": func(m *mount) {
			m.must(logical.PatchOperation, "roles/r", map[string]any{settings.FieldShareSession: nil})
		},
		"role is deleted":   func(m *mount) { m.must(logical.DeleteOperation, "roles/r", nil) },
		"config is deleted": func(m *mount) { m.must(logical.DeleteOperation, "config", nil) },
		"config says so": func(m *mount) {
			m.write("config", map[string]any{settings.FieldShareSession: true})
			m.must(logical.PatchOperation, "roles/r", map[string]any{settings.FieldShareSession: nil})
			m.write("config", map[string]any{settings.FieldShareSession: false})
		},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			m, w := ready(t, nil)
			m.write("roles/r", map[string]any{settings.FieldShareSession: true})
			m.write("roles/other", map[string]any{settings.FieldShareSession: true})
			first := m.readTokenAt("token/r", nil)
			m.clock.Advance(25 * time.Minute)
			m.readTokenAt("token/r", nil) // begins the replacement, which nobody leases
			m.backend.Cleanup(t.Context())
			m.restart()
			if got := w.Stats().Started; got != 2 {
				t.Fatalf("sessions started: got %d, want 2", got)
			}
			other := m.readTokenAt("token/other", nil)
			stop(m)
			if got := w.Stats().LoggedOut; got != 1 {
				t.Errorf("sessions logged out: got %d, want the one that nobody leases", got)
			}
			if !w.SessionAlive(first.token()) || !w.SessionAlive(other.token()) {
				t.Error("a leased session was logged out")
			}
		})
	}
}

// Vault's storage refuses paths with dots in them by an error, so that a bad name must not get there.
func TestExistenceCheckOfABadRoleName(t *testing.T) {
	m := newMount(t)
	m.storage.Script(storagetest.Rule{On: storagetest.Get, Then: storagetest.Fail(storagetest.ErrBroken)})
	_, exists, err := m.backend.HandleExistenceCheck(t.Context(), &logical.Request{Operation: logical.CreateOperation, Path: "roles/a..b", Storage: m.storage})
	if exists || err != nil {
		t.Errorf("got %t, %v; want false, so that the write says what is wrong", exists, err)
	}
}

func TestVerifyFindsTheClientIDInPlaceOfTheCustomerID(t *testing.T) {
	m, w := ready(t, nil)
	m.wantRefused(logical.UpdateOperation, "config", map[string]any{settings.FieldCustomerID: w.App.ClientID, fieldVerify: true}, "customer_id", "client_id", "not stored")
}
