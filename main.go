// Command vault-plugin-secrets-workfront is a secrets engine for HashiCorp Vault that lends out short-lived Adobe
// Workfront sessions. Vault starts it; it is of no use by itself.
package main

import (
	"io"
	"log"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	// Root certificates for where the system has none: the OCI image holds nothing but the plugin.
	_ "golang.org/x/crypto/x509roots/fallback"
)

func main() {
	// net/http writes what a server sends beyond its answer to Go's standard log, and so into Vault's. It may be an echo of
	// the client secret. A few lines of go-plugin are lost with it.
	log.SetOutput(io.Discard)
	logger := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true})
	if err := serve(os.Args[1:]); err != nil {
		logger.Error("plugin stopped", "error", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(args); err != nil {
		return err
	}
	go exitWithParent(os.Getppid())
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: Factory,
		// A Vault without AutoMTLS gives the plugin its certificate this way.
		TLSProviderFunc: api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}
