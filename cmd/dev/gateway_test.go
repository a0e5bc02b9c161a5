package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestGateway(t *testing.T) {
	behind := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") }))
	defer behind.Close()
	g, err := startGateway(t.Context(), "acme.example:443", behind.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	proxy, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		Proxy:           http.ProxyURL(proxy),
		TLSClientConfig: &tls.Config{RootCAs: behind.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"},
	}
	defer transport.CloseIdleConnections()
	for target, want := range map[string]string{
		"https://acme.example/":     "reached",
		"https://other.example/":    "Forbidden",
		"https://acme.example:444/": "Forbidden",
		"http://acme.example/":      "only acme.example:443 is known here",
	} {
		t.Run(target, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				got = string(body)
			}
			if !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
