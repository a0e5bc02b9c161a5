//go:build e2e

package test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestEchoBehindAnAnswer: a host that sends more than it announced has its excess quoted by Go's net/http, on standard error,
// which Vault puts into its log. What it is here, the search at the end of the run knows.
func TestEchoBehindAnAnswer(t *testing.T) {
	t.Parallel()
	dropped := make(chan struct{})
	host := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}%s", sent)
		_, _ = conn.Read(make([]byte, 1))
		close(dropped) // by then it has been said
		_ = conn.Close()
	}))
	t.Cleanup(host.Close)
	m := enable(t, sharedVault(t), uniqueName(t))
	key := opensslKey(t)
	m.write(t, "keys/default/import", map[string]any{"private_key": key.private})
	m.write(t, "config", map[string]any{
		"base_url": host.URL, "allow_custom_host": true, "client_id": "c", "customer_id": "cu", "user_id": "u", "client_secret": canaryMark + "excess",
		"ca_cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: host.Certificate().Raw})),
	})
	_, err := m.readToken("")
	wantError(t, err, http.StatusBadRequest, "refused")
	select {
	case <-dropped:
	case <-time.After(30 * time.Second):
		t.Error("the connection with something left on it is still kept")
	}
}
