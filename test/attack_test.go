//go:build e2e

package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
)

// The tests named TestAttack are attempts of somebody with a Vault token and some policy to get at what the policy does not
// give. docs/security.md says which claim each of them is about.

// attacks counts the attempts of this run, and those that were refused or came to nothing.
var attacks struct{ tried, refused atomic.Int64 }

// printAttacks says how many there were.
func printAttacks() {
	if n := attacks.tried.Load(); n > 0 {
		fmt.Printf("attacks: %d tried, %d refused\n", n, attacks.refused.Load())
	}
}

// A victim is a mount that works, and whose root client the attacker does not have.
type victim struct {
	*mount
	w         *workfront
	elsewhere *listener // where the attacker would like to have something sent
	raw       string    // its storage
	config    map[string]any
	stored    map[string]any
}

// newVictim takes a mount as it is as what has to stay.
func newVictim(t *testing.T, m *mount, w *workfront) *victim {
	t.Helper()
	v := &victim{mount: m, w: w, elsewhere: listen(t), raw: m.storage(t)}
	v.config, v.stored = m.read(t, "config"), v.everything(t)
	return v
}

// everything is what can be read of all that the plugin stores, by its path, but for config and for its ledger, which comes
// and goes with the leases. The names are those in storage: an object that no path shows would be seen.
func (v *victim) everything(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for _, folder := range []string{"keys/", "roles/"} {
		listed, err := v.root.Logical().List(v.raw + "/" + folder)
		if err != nil {
			t.Fatalf("list storage: %v", err)
		}
		if listed != nil {
			for _, name := range texts(listed.Data["keys"]) {
				all[folder+name] = v.read(t, folder+name)
			}
		}
	}
	return all
}

// attack runs one attempt and looks whether the victim is what it was, and issues sessions.
func (v *victim) attack(t *testing.T, name string, try func(t *testing.T)) {
	t.Helper()
	v.glance(t, name, func(t *testing.T) {
		t.Helper()
		try(t)
		if v.w != nil {
			v.issues(t)
		}
	})
}

// glance is attack without reading a token, for attempts of which there are many, and which do not change config.
func (v *victim) glance(t *testing.T, name string, try func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		attacks.tried.Add(1)
		try(t)
		v.unchanged(t)
		if !t.Failed() {
			attacks.refused.Add(1)
		}
	})
}

// unchanged tells whether the victim has its config, keys and roles, and nothing went elsewhere.
func (v *victim) unchanged(t *testing.T) {
	t.Helper()
	if got := v.read(t, "config"); !reflect.DeepEqual(got, v.config) {
		t.Errorf("config is\n%.2000s, was\n%.2000s", fmt.Sprint(got), fmt.Sprint(v.config))
	}
	if got := v.everything(t); !reflect.DeepEqual(got, v.stored) {
		t.Errorf("stored are\n%.4000s, were\n%.4000s", fmt.Sprint(got), fmt.Sprint(v.stored))
	}
	if n := v.elsewhere.connections.Load(); n > 0 {
		t.Errorf("the attacker's host got %d connections", n)
	}
}

// issues tells whether a session of the victim's own Workfront can be read.
func (v *victim) issues(t *testing.T) {
	t.Helper()
	lease := v.token(t, "")
	if lease.Data["base_url"] != v.w.URL() || !v.w.SessionAlive(accessToken(lease)) {
		t.Error("the next read brings no living session of the victim's Workfront")
	}
	v.revoke(t, lease)
}

// wantNoSecret searches what came to the attacker's host for the secrets of the run.
func (l *listener) wantNoSecret(t *testing.T, mayHoldJWT bool, secrets ...string) {
	t.Helper()
	text := l.text()
	for _, secret := range secrets {
		if secret == "" || bytes.Contains(text, []byte(secret)) {
			t.Error("a secret of the victim came to the attacker's host")
		}
	}
	for _, kind := range leaks.find(text, true, false) { // the sessions that it started itself are its own
		if kind != "a JWT" || !mayHoldJWT {
			t.Errorf("%s came to the attacker's host", kind)
		}
	}
}

// rawRequest is sent as it stands: the path is neither cleaned nor encoded.
type rawRequest struct {
	method, path, body string
	header             http.Header
	outside            bool // the path is not one below the mount, but below Vault's own /v1/
}

// send sends it with the token of client, and returns the answer. It follows no redirect, which is what Vault answers a path
// with that is not clean.
func (m *mount) send(t *testing.T, client *api.Client, r rawRequest) (status int, answer string) {
	t.Helper()
	conn, err := m.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if !r.outside {
		r.path = m.path + "/" + r.path
	}
	head := fmt.Sprintf("%s /v1/%s HTTP/1.1\r\nHost: vault\r\nConnection: close\r\nX-Vault-Token: %s\r\nContent-Length: %d\r\n",
		r.method, r.path, client.Token(), len(r.body))
	for name, values := range r.header {
		head += name + ": " + values[0] + "\r\n"
	}
	// Vault may answer, and hang up, before it has read all of it.
	_, _ = io.WriteString(conn, head+"\r\n"+r.body)
	whole, _ := io.ReadAll(conn)
	answer = string(whole)
	if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("%s %.80q: no answer", r.method, r.path)
	}
	for _, kind := range leaks.find(whole, true, true) {
		t.Errorf("%s %.80q: the answer holds %s", r.method, r.path, kind)
	}
	return status, answer
}

// patchHeader makes a raw request a JSON merge patch.
var patchHeader = http.Header{"Content-Type": {"application/merge-patch+json"}}

// wantNoForgedLine searches the logs of the server for a line that begins with the mark.
func (v *vaultServer) wantNoForgedLine(t *testing.T, mark string) {
	t.Helper()
	for _, file := range []string{v.LogFile(), v.AuditFile()} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\x1b"} {
			if strings.Contains(string(text), end+mark) {
				t.Errorf("a line of %s is forged", file)
			}
		}
	}
}
