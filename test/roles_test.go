//go:build e2e

package test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// wantLease checks how long a lease of a role is, and whose session it is.
func (m *mount) wantLease(t *testing.T, role string, ttl time.Duration, userID string) {
	t.Helper()
	lease := m.roleToken(t, role)
	if got := time.Duration(lease.LeaseDuration) * time.Second; got != ttl || lease.Data["user_id"] != userID || lease.Data["role"] != role {
		t.Errorf("role %s: ttl %s, user %v, role %v; want %s, %s", role, got, lease.Data["user_id"], lease.Data["role"], ttl, userID)
	}
	m.revoke(t, lease)
}

// warningsOf returns the warnings of an answer, which is none at all if it has nothing to say.
func warningsOf(answer *api.Secret) []string {
	if answer == nil {
		return nil
	}
	return answer.Warnings
}

// TestStoryRoles: unset role fields inherit from config, and a patch with null has config decide again.
func TestStoryRoles(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "5m", "max_ttl": "20m"})
	robot := workfronttest.User{ID: workfronttest.NewID(), Name: "Robot", EmailAddr: "robot@example.com"}
	if err := w.AddUser(robot); err != nil {
		t.Fatal(err)
	}
	certificate, _ := m.write(t, "keys/robot/generate", nil).Data["certificate"].(string)
	if _, err := w.AddPublicKey(w.App.ClientID, robot.ID, certificate); err != nil {
		t.Fatal(err)
	}
	_, err := m.readRole("reports")
	wantError(t, err, 400, `the role "reports" does not exist`, "vault list "+m.path+"/roles")
	_, err = m.patchAt("roles/reports", field("ttl", "1m"))
	wantError(t, err, http.StatusNotFound, "no such role")

	m.write(t, "roles/reports", nil)
	m.wantLease(t, "reports", 5*time.Minute, w.User.ID)
	m.write(t, "config", field("ttl", "6m"))
	m.wantLease(t, "reports", 6*time.Minute, w.User.ID)
	m.write(t, "roles/reports", map[string]any{"ttl": "10m", "description": "nightly"})
	m.wantLease(t, "reports", 10*time.Minute, w.User.ID)
	m.write(t, "roles/reports", field("max_ttl", "15m")) // what was not sent stays
	m.wantLease(t, "reports", 10*time.Minute, w.User.ID)

	if warnings := warningsOf(m.write(t, "roles/robot", field("user_id", robot.ID))); len(warnings) != 1 || !strings.Contains(warnings[0], "key") {
		t.Errorf("warnings are %q, want one that this user needs a key", warnings)
	}
	_, err = m.readRole("robot")
	wantError(t, err, 400, "refused", "keys/default")
	if warnings := warningsOf(m.write(t, "roles/robot", field("key", "robot"))); len(warnings) > 0 {
		t.Errorf("warnings are %q, want none", warnings)
	}
	m.wantLease(t, "robot", 6*time.Minute, robot.ID)

	first, second := m.roleToken(t, "reports"), m.roleToken(t, "reports")
	if sessionID(first) == sessionID(second) {
		t.Error("a role that does not share issued the same session twice")
	}
	if _, err := m.patch(field("share_session", true)); err != nil {
		t.Fatalf("patch: %v", err)
	}
	third, fourth := m.roleToken(t, "reports"), m.roleToken(t, "reports")
	if sessionID(third) != sessionID(fourth) {
		t.Error("a role does not share although config says so")
	}
	other := m.roleToken(t, "robot")
	if sessionID(other) == sessionID(third) {
		t.Error("two roles got the same session")
	}
	if _, err := m.patchAt("roles/reports", field("share_session", false)); err != nil {
		t.Fatalf("patch: %v", err)
	}
	fifth, sixth := m.roleToken(t, "reports"), m.roleToken(t, "reports")
	if sessionID(fifth) == sessionID(sixth) || sessionID(fifth) == sessionID(third) {
		t.Error("a role shares although it says that it does not")
	}
	m.wantBalance(t, w)
	for _, lease := range []*api.Secret{first, second, third, fourth, fifth, sixth, other} {
		m.revoke(t, lease)
	}

	if _, err := m.patchAt("roles/reports", map[string]any{"ttl": nil, "max_ttl": nil, "description": nil, "share_session": nil}); err != nil {
		t.Fatalf("patch: %v", err)
	}
	m.wantLease(t, "reports", 6*time.Minute, w.User.ID)
	if got, want := mustJSON(t, m.read(t, "roles/reports")), `{"description":"","key":"","max_ttl":0,"ttl":0,"user_id":""}`; got != want {
		t.Errorf("the role is %s, want %s", got, want)
	}
	if _, err := m.patchAt("roles/robot", map[string]any{"user_id": nil, "key": nil}); err != nil {
		t.Fatalf("patch: %v", err)
	}
	m.wantLease(t, "robot", 6*time.Minute, w.User.ID)
	listed, err := m.root.Logical().List(m.path + "/roles")
	if err != nil || !slices.Equal(texts(listed.Data["keys"]), []string{"reports", "robot"}) {
		t.Errorf("the roles are %v, %v; want reports and robot", listed, err)
	}
	warnings := warningsOf(m.write(t, "roles/reports", field("tll", "5m")))
	if want := "Endpoint ignored these unrecognized parameters: [tll]"; !slices.Equal(warnings, []string{want}) {
		t.Errorf("warnings are %q, want %q", warnings, want)
	}
}

// TestKeyInUseByRole: a key is not deleted under a role, and the error names all that use it.
func TestKeyInUseByRole(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	m.write(t, "keys/robot/generate", nil)
	for _, role := range []string{"a", "b"} {
		m.write(t, "roles/"+role, field("key", "robot"))
	}
	deleteKey := func() error {
		_, err := m.root.Logical().Delete(m.path + "/keys/robot")
		return err
	}
	wantError(t, deleteKey(), 400, "roles/a, roles/b")
	if got := texts(m.read(t, "keys/robot")["used_by"]); !slices.Equal(got, []string{"roles/a", "roles/b"}) {
		t.Errorf("used_by is %q, want both roles", got)
	}
	m.write(t, "config", field("key", "robot"))
	wantError(t, deleteKey(), 400, "config, roles/a, roles/b")
	m.write(t, "config", field("key", "default"))
	m.delete(t, "roles/a")
	wantError(t, deleteKey(), 400, "roles/b")
	if _, err := m.patchAt("roles/b", field("key", nil)); err != nil {
		t.Fatalf("patch: %v", err)
	}
	if err := deleteKey(); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestDeletedRole: its leases expire as they are.
func TestDeletedRole(t *testing.T) {
	t.Parallel()
	for _, role := range []string{sharedRole, freshRole} {
		t.Run(role, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
			first, second := m.roleToken(t, role), m.roleToken(t, role)
			m.delete(t, "roles/"+role)
			for _, lease := range []*api.Secret{first, second} {
				if !w.SessionAlive(accessToken(lease)) {
					t.Error("the deletion of the role ended a session that is issued")
				}
				_, err := m.root.Sys().Renew(lease.LeaseID, 60)
				wantError(t, err, 400, role, "has been deleted")
			}
			_, err := m.readRole(role)
			wantError(t, err, 400, "does not exist")
			m.revoke(t, first)
			if !w.SessionAlive(accessToken(second)) {
				t.Error("the second session ended with the first lease")
			}
			m.wantBalance(t, w)
			m.revoke(t, second)
			wantDead(t, w, second)
		})
	}
}

// TestStoryRolePolicy: policies are written for token/:role, and there is no way around them.
func TestStoryRolePolicy(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	for _, role := range []string{"a", "b", "a.b"} {
		m.write(t, "roles/"+role, nil)
	}
	only := m.clientWith(t, `path "`+m.path+`/token/a" { capabilities = ["read"] }`)
	lease, err := only.Logical().Read(m.path + "/token/a")
	m.revoke(t, leased(t, lease, err))
	started := w.Stats().Exchanges

	for _, path := range []string{"token", "token/b", "token/a.b", "token/a/b", "roles/a", "roles", "sessions", "config"} {
		_, err := only.Logical().Read(m.path + "/" + path)
		wantError(t, err, 403)
	}
	_, err = only.Logical().Write(m.path+"/roles/a", field("ttl", "1m"))
	wantError(t, err, 403)
	_, err = only.Logical().Write(m.path+"/check", nil)
	wantError(t, err, 403)
	for _, path := range []string{
		"token/a/../b", "token/a/./../b", "token/../token/b", "token/a/..%2Fb", "token/a%2F..%2Fb", "token/a%2f..%2fb", "token/a%2F%2E%2E%2Fb",
		"token/a/%2e%2e/b", "token/a%252F..%252Fb", "token/a/..;/b", "token/a%5C..%5Cb", "token//b", "token/a//../b", "token/./b", "token/a%00/../b",
		"token/a%2F", "token/a/", "token/a%20", "token/%61%2Fb", "token/a?role=b", "token/a/b", "token/a.b", "token%2Fb", "token/%62",
	} {
		status, body := m.raw(t, only.Token(), path)
		// Two of them are token/a itself, spelt in another way or with a parameter that does not count.
		if status == http.StatusOK {
			if !strings.Contains(body, `"role":"a"`) {
				t.Errorf("%s is answered with another session: %d", path, status)
			}
			started++
		}
		if got := w.Stats().Exchanges; got != started {
			t.Errorf("%s is answered with %d, and there were %d exchanges, want %d", path, status, got, started)
			started = got
		}
	}
	m.revokeAll(t)
}

// raw gets a path below the mount that is sent as it stands, and follows no redirect.
func (m *mount) raw(t *testing.T, token, path string) (status int, body string) {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	target := &url.URL{Scheme: "http", Host: "vault", Opaque: "/v1/" + m.path + "/" + path, RawQuery: query}
	req := (&http.Request{Method: http.MethodGet, URL: target, Host: "vault", Header: http.Header{"X-Vault-Token": {token}}}).WithContext(context.Background())
	resp, err := m.Transport().RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}
