//go:build e2e

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// TestStorySessions: an operator looks at what is issued, and ends a session that should not go on.
func TestStorySessions(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	if listed, err := m.root.Logical().List(m.path + "/sessions"); err != nil || listed != nil && len(listed.Data) > 0 {
		t.Errorf("listed %v, %v before the first read, want nothing", listed, err)
	}
	began := time.Now()
	shared := []*api.Secret{m.roleToken(t, sharedRole), m.roleToken(t, sharedRole), m.roleToken(t, sharedRole)}
	fresh, plain := m.roleToken(t, freshRole), m.token(t, "")
	m.client = m.clientWith(t, `
path "`+m.path+`/sessions" { capabilities = ["list"] }
path "`+m.path+`/sessions/*" { capabilities = ["read", "delete"] }
`)
	want := map[string]struct {
		lease  *api.Secret
		role   string
		leases int
	}{sessionID(shared[0]): {shared[0], sharedRole, 3}, sessionID(fresh): {fresh, freshRole, 1}, sessionID(plain): {plain, "", 1}}
	listed, err := m.client.Logical().List(m.path + "/sessions")
	if err != nil {
		t.Fatalf("list sessions: %v", err)
	}
	var ids []string
	for _, id := range listed.Data["keys"].([]any) {
		ids = append(ids, id.(string))
	}
	if wantIDs := slices.Sorted(maps.Keys(want)); !slices.Equal(ids, wantIDs) {
		t.Errorf("the sessions are %q, want %q", ids, wantIDs)
	}
	info, _ := listed.Data["key_info"].(map[string]any)
	for id, of := range want {
		read := m.read(t, "sessions/"+id)
		if got, want := mustJSON(t, info[id]), mustJSON(t, read); got != want {
			t.Errorf("the list says %s, a read %s", got, want)
		}
		text := mustJSON(t, read)
		if strings.Contains(text, accessToken(of.lease)) {
			t.Error("the token can be read")
		}
		issued, err := time.Parse(time.RFC3339, fmt.Sprint(read["issued_at"]))
		if err != nil || issued.Before(began.Add(-time.Second)) || issued.After(time.Now()) {
			t.Errorf("issued_at is %v, want a moment after %s", read["issued_at"], began)
		}
		for name, value := range map[string]any{
			"role": of.role, "user_id": w.User.ID, "base_url": w.URL(), "leases": json.Number(fmt.Sprint(of.leases)), "state": "active",
			"end_stated": true, "expires_at": of.lease.Data["expires_at"],
		} {
			if read[name] != value {
				t.Errorf("%s is %v, want %v", name, read[name], value)
			}
		}
		if len(read) != 8 {
			t.Errorf("a session has the fields %q, want 8", slices.Sorted(maps.Keys(read)))
		}
	}

	m.delete(t, "sessions/"+sessionID(shared[0]))
	wantDead(t, w, shared[0])
	if read := m.read(t, "sessions/"+sessionID(shared[0])); read != nil {
		t.Errorf("the session is still there: %v", read)
	}
	m.delete(t, "sessions/"+sessionID(shared[0])) // which is no error
	_, err = m.root.Sys().Renew(shared[1].LeaseID, 60)
	wantError(t, err, 400, "read a new token")
	m.delete(t, "sessions/"+sessionID(fresh))
	wantDead(t, w, fresh)
	if !w.SessionAlive(accessToken(plain)) {
		t.Error("another session was ended, too")
	}
	logouts := w.Stats().Logouts
	m.client = m.root
	next := m.roleToken(t, sharedRole)
	if sessionID(next) == sessionID(shared[0]) || !w.SessionAlive(accessToken(next)) {
		t.Error("the next reader did not get a new session")
	}
	for _, lease := range append(shared, fresh) {
		m.revoke(t, lease)
	}
	if n := w.Stats().Logouts; n != logouts {
		t.Errorf("the revocations called Workfront %d times, want none: the sessions had ended", n-logouts)
	}
	m.wantBalance(t, w)
	if !w.SessionAlive(accessToken(next)) {
		t.Error("the leases of the session before ended the new one")
	}
	m.revoke(t, next)
	m.revoke(t, plain)
}

// TestDeleteSessionFails: what cannot be logged out now is retried, and the operator is told.
func TestDeleteSessionFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		fault   workfronttest.Fault
		suspend bool
		want    string
	}{
		{name: "not confirmed", fault: workfronttest.Fault{Body: `{"data":{"success":false}}`}, want: "confirm"},
		{name: "503", fault: workfronttest.Fault{Status: 503}, want: "503"},
		{name: "down", suspend: true, want: "not available"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, sharedVault(t), w, nil))
			leases := []*api.Secret{m.roleToken(t, sharedRole), m.roleToken(t, sharedRole)}
			id := sessionID(leases[0])
			if c.suspend {
				w.Suspend()
			} else {
				c.fault.Endpoint = workfronttest.EndpointLogout
				w.Inject(c.fault)
			}
			for range 2 { // the second time, a logout there has failed a moment ago
				if _, err := m.root.Logical().Delete(m.path + "/sessions/" + id); err == nil {
					t.Error("the deletion says nothing of the logout that did not succeed")
				} else {
					wantError(t, err, http.StatusBadGateway, c.want)
				}
			}
			if got := m.read(t, "sessions/"+id)["state"]; got != "logout_pending" {
				t.Errorf("state is %v, want logout_pending", got)
			}
			w.ClearFaults()
			if err := w.Resume(); err != nil {
				t.Fatal(err)
			}
			next := m.roleToken(t, sharedRole)
			if sessionID(next) == id {
				t.Error("a session that is to be logged out is issued")
			}
			m.revoke(t, leases[0])
			m.revoke(t, leases[1])
			m.wantBalance(t, w)
			if _, err := m.root.Logical().Delete(m.path + "/sessions/" + id); err != nil { // now that it can be done
				t.Errorf("delete: %v", err)
			}
			wantDead(t, w, leases[0])
			if read := m.read(t, "sessions/"+id); read != nil {
				t.Errorf("the session is still there: %v", read)
			}
			m.revoke(t, next) // which may be left pending, because Workfront was down a moment ago
			m.wantBalance(t, w)
			m.giveUp(t, w, leases[0], next)
		})
	}
}

// TestStoryLeakedToken: an operator finds a token in a log, finds its session, and logs it out.
func TestStoryLeakedToken(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := withRoles(t, issuing(t, sharedVault(t), w, field("ttl", "5m")))
	leases := []*api.Secret{m.roleToken(t, sharedRole), m.roleToken(t, sharedRole)}
	other := m.token(t, "")
	policy, err := os.ReadFile("../examples/policies/admin.hcl")
	if err != nil {
		t.Fatal(err)
	}
	m.client = m.clientWith(t, strings.ReplaceAll(string(policy), "workfront/", m.path+"/"))
	found := m.write(t, "sessions/lookup", map[string]any{"access_token": accessToken(leases[0]) + "\n"})
	id := sessionID(leases[0])
	want := m.read(t, "sessions/"+id)
	want["session_id"] = id
	if got, want := mustJSON(t, found.Data), mustJSON(t, want); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
	if found.Data["role"] != sharedRole || number(t, found.Data["leases"]) != len(leases) {
		t.Errorf("found %v, want the session of %s with %d leases", found.Data, sharedRole, len(leases))
	}
	for _, text := range []string{mustJSON(t, found), fmt.Sprint(found.Warnings)} {
		if strings.Contains(text, accessToken(leases[0])) {
			t.Error("the response holds the token")
		}
	}
	m.delete(t, "sessions/"+id)
	wantDead(t, w, leases[0])
	_, err = m.client.Logical().Write(m.path+"/sessions/lookup", map[string]any{"access_token": accessToken(leases[0])})
	wantError(t, err, http.StatusNotFound, "this mount does not know it")
	if !w.SessionAlive(accessToken(other)) {
		t.Error("another session was ended, too")
	}
	reader := m.clientWith(t, `path "`+m.path+`/token" { capabilities = ["read", "update"] }`)
	_, err = reader.Logical().Write(m.path+"/sessions/lookup", map[string]any{"access_token": accessToken(other)})
	wantError(t, err, http.StatusForbidden)
	m.client = m.root
	m.revokeAll(t)
	m.wantBalance(t, w)
}

// TestDeleteSessionCutOff: an operator's command is cut off while the logout hangs. What he asked for is carried out all the
// same, or it is pending.
func TestDeleteSessionCutOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		heals bool // before the time for the logout is over
	}{
		{"the logout succeeds", true},
		{"the logout fails", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorkfront(t, 0)
			m := withRoles(t, issuing(t, sharedVault(t), w, nil))
			lease := m.roleToken(t, sharedRole)
			path := "sessions/" + sessionID(lease)
			hang := workfronttest.Fault{Endpoint: workfronttest.EndpointLogout, Hang: workfronttest.HangBeforeHandling}
			remove := w.Inject(hang)
			ctx, cutOff := context.WithCancel(t.Context())
			defer cutOff()
			deleted := make(chan error, 1)
			go func() {
				_, err := m.root.Logical().DeleteWithContext(ctx, m.path+"/"+path)
				deleted <- err
			}()
			eventually(t, 10*time.Second, func() error {
				if n := w.Stats().Logouts; n != 1 {
					return fmt.Errorf("%d logouts came, want 1", n)
				}
				return nil
			})
			cutOff()
			if err := <-deleted; !errors.Is(err, context.Canceled) {
				t.Errorf("delete: got %v, want it cut off", err)
			}
			if c.heals {
				remove()
			} else {
				eventually(t, 10*time.Second, func() error { // its time is over
					if n := w.Stats().CallsUnderWay; n > 0 {
						return fmt.Errorf("%d calls are under way", n)
					}
					return nil
				})
				// Vault has the lease: should Workfront return the session again, it is the reader's again.
				if read := m.read(t, path); read["state"] != "logout_pending" || number(t, read["leases"]) != 1 {
					t.Errorf("the session is %v, want logout_pending, and the lease that was not revoked", read)
				}
				remove()
				m.delete(t, path)
			}
			eventually(t, 10*time.Second, func() error { return w.accounts(0) })
			eventually(t, 10*time.Second, func() error {
				if read := m.read(t, path); read != nil {
					return fmt.Errorf("the session is still there: %v", read)
				}
				return nil
			})
			m.revoke(t, lease)
			m.wantEmptyLedger(t)
		})
	}
}
