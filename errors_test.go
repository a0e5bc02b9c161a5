package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/settings"
	"vault-plugin-secrets-workfront/internal/signingkey"
	"vault-plugin-secrets-workfront/internal/storagetest"
)

// A read while the plugin is being unloaded may be tried again, and clients do so on a 503.
func TestReadWhileThePluginIsUnloaded(t *testing.T) {
	m, _ := ready(t, nil)
	m.write("roles/shared", map[string]any{settings.FieldShareSession: true})
	m.backend.Cleanup(t.Context())
	for _, path := range []string{"token", "token/shared"} {
		m.wantStatus(503, logical.ReadOperation, path, nil, "unloaded", "try again")
	}
}

// One key is generated at a time.
func TestGenerateWhileAKeyIsGenerated(t *testing.T) {
	m := newMount(t)
	finish := m.startGenerating()
	m.wantStatus(503, logical.UpdateOperation, "keys/second/generate", nil, "one is at a time", "try again")
	if err := finish(); err != nil {
		t.Errorf("first: %v", err)
	}
}

// startGenerating generates a key that is not ready until finish is called, which returns the request's error.
func (m *mount) startGenerating() (finish func() error) {
	started, ready := make(chan struct{}), make(chan struct{})
	m.backend.(*backend).settings = settings.New(settings.Options{
		Now: m.clock.Now,
		Generate: func(int, signingkey.Certification) (*signingkey.Key, error) {
			close(started)
			<-ready
			return testKey(), nil
		},
	})
	done := make(chan error, 1)
	go func() {
		_, err := m.request(logical.UpdateOperation, "keys/first/generate", nil)
		done <- err
	}()
	<-started
	return func() error {
		close(ready)
		return <-done
	}
}

// outOfTime is a storage whose calls last until the request is out of time.
func outOfTime(m *mount) logical.Storage {
	return storagetest.Over(m.storage, storagetest.Rule{
		On: storagetest.Get,
		Then: func(ctx context.Context, _ storagetest.Call, _ storagetest.Next) error {
			<-ctx.Done()
			return errors.New("rpc error: code = DeadlineExceeded desc = context deadline exceeded")
		},
	})
}

func TestRequestThatIsOutOfTime(t *testing.T) {
	m, w := ready(t, nil)
	for _, path := range []string{"config", "sessions/" + strings.Repeat("0", 32)} {
		_, err := outOfTimeRequest(path)(m, w)
		var coded logical.HTTPCodedError
		if !errors.As(err, &coded) || coded.Code() != 503 || !strings.Contains(err.Error(), "max_request_duration") {
			t.Errorf("%s: got %v, want a 503 that names max_request_duration", path, err)
		}
	}
}

// Whoever needs an entry that cannot be read is told its name and the command that mends it; it stops nobody else.
func TestUnreadableEntries(t *testing.T) {
	m, _ := ready(t, nil)
	for _, name := range []string{"bad", "newer", "good"} {
		m.write("roles/"+name, nil)
	}
	m.write("keys/bad/import", map[string]any{settings.FieldPrivateKey: testKeyPEM(t)})
	for key, value := range map[string]string{"roles/bad": "damaged", "roles/newer": `{"version":2}`, "keys/bad": "damaged"} {
		m.storage.Set(t, key, value)
	}
	for path, want := range map[string]string{
		"token/bad": "`vault write workfront/roles/bad ...`", "roles/bad": "`vault delete workfront/roles/bad`",
		"token/newer": "install that version again", "keys/bad": "`vault delete workfront/keys/bad`",
	} {
		_, err := m.request(logical.ReadOperation, path, nil)
		var coded logical.HTTPCodedError
		if err == nil || errors.As(err, &coded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error without a code that holds %q", path, err, want)
		}
	}
	m.readTokenAt("token/good", nil).revoke()
	m.readToken(nil).revoke()
	m.must(logical.ListOperation, "keys/", nil)
	m.must(logical.ListOperation, "roles/", nil)
	if got, want := asJSON(t, m.read("keys/default")[fieldUsedBy]), `["config","roles/bad (damaged)","roles/newer (newer version)"]`; got != want {
		t.Errorf("used by: got %s, want %s", got, want)
	}
	resp := m.write("config", map[string]any{settings.FieldKey: "bad"})
	if resp == nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), "keys/bad is damaged") {
		t.Errorf("config that names a damaged key: got %v, want a warning", resp)
	}
	if resp := m.must(logical.ReadOperation, "config", nil); len(resp.Warnings) == 0 {
		t.Error("read of a config that names a damaged key: got no warning")
	}
	m.write("roles/bad", nil)
	for _, path := range []string{"roles/newer", "keys/bad"} {
		m.must(logical.DeleteOperation, path, nil)
	}
}

// The version of the plugin is asked for when something is wrong.
func TestInfoWhenConfigCannotBeRead(t *testing.T) {
	m, _ := ready(t, nil)
	m.storage.Set(t, "config", `{"version":2}`)
	if got := m.read("info"); got[fieldVersion] != version || got[settings.FieldAPIVersion] != "" {
		t.Errorf("got %v, want the version of the plugin alone", got)
	}
}

// A lease on a role that is damaged can be renewed: the role is there.
func TestRenewOfADamagedRole(t *testing.T) {
	m, _ := ready(t, map[string]any{settings.FieldTTL: "5m"})
	m.write("roles/r", nil)
	l := m.readTokenAt("token/r", nil)
	m.storage.Set(t, "roles/r", "damaged")
	if resp, err := l.request(logical.RenewOperation); err != nil || resp.IsError() {
		t.Errorf("got %v, %v; want a renewal", resp, err)
	}
	l.revoke()
}

// A role's write looks at its own share only.
func TestWriteOfARoleReadsNoOther(t *testing.T) {
	m, _ := ready(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		m.write("roles/"+name, map[string]any{settings.FieldShareSession: true})
		m.readTokenAt("token/"+name, nil)
	}
	var read []string
	m.storage.Script(storagetest.Rule{
		On: storagetest.Reads,
		Then: func(ctx context.Context, c storagetest.Call, next storagetest.Next) error {
			read = append(read, c.Key)
			return next(ctx)
		},
	})
	m.write("roles/a", map[string]any{settings.FieldDescription: "changed"})
	m.storage.Script()
	if len(read) == 0 {
		t.Error("nothing was read, so nothing was tested")
	}
	for _, key := range read {
		if strings.Contains(key, "roles/b") || strings.Contains(key, "roles/c") || strings.HasSuffix(key, "/") {
			t.Errorf("read %s", key)
		}
	}
}
