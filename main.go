// Command vault-plugin-secrets-workfront is a secrets engine for HashiCorp Vault that issues short-lived Adobe
// Workfront sessions. Vault starts it; it is of no use by itself.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	// Root certificates for where the system has none: the OCI image holds nothing but the plugin.
	_ "golang.org/x/crypto/x509roots/fallback"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `vault-plugin-secrets-workfront %s

A secrets engine for HashiCorp Vault and OpenBao that issues short-lived Adobe
Workfront sessions. Vault starts it; it does nothing when it is run by hand.
Copy it to Vault's plugin_directory, then register and enable it:

  $ vault plugin register -sha256=<checksum of this file> secret vault-plugin-secrets-workfront
  $ vault secrets enable -path=workfront vault-plugin-secrets-workfront

Flags:
  -version   print the version, the commit and the build date
  -h, -help  print this help

Any other flags are Vault's.
`

// run returns the exit code of the process.
func run(args []string, stdout, stderr io.Writer) int {
	// net/http writes what a server sends beyond its answer to Go's standard log, and so into Vault's. It may be an echo
	// of the client secret. A few lines of go-plugin are lost with it.
	log.SetOutput(io.Discard)
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet() // those by which Vault hands over certificates
	flags.Init("vault-plugin-secrets-workfront", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	printVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprintf(stdout, usage, version)
		return 0
	case err != nil:
		logTo(stderr).Error("plugin not started; correct args in Vault's plugin catalog, or run it with -h for help", "error", err)
		return 2
	case *printVersion:
		_, _ = fmt.Fprintf(stdout, "vault-plugin-secrets-workfront %s (commit %s, built %s)\n", version, commit, buildDate)
		return 0
	}
	if err := serve(meta); err != nil {
		logTo(stderr).Error("plugin stopped", "error", err)
		return 1
	}
	return 0
}

// logTo returns a logger whose lines Vault passes on to its log at their level. It logs any other line of a plugin's
// stderr at level debug, so the default log would not say why a plugin does not start.
func logTo(stderr io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: stderr, JSONFormat: true})
}

func serve(meta *api.PluginAPIClientMeta) error {
	go exitWithParent(os.Getppid())
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: Factory,
		// A Vault without AutoMTLS gives the plugin its certificate this way.
		TLSProviderFunc: api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}
