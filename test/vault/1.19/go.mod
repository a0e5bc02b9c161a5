// Pins the Vault server that the end-to-end tests run the plugin in. A module of its own, because Vault is
// huge and BUSL-licensed: it must never become a dependency of the plugin. Never run `go mod tidy` here: it
// looks at test imports, upgrades the sdk and breaks the build.
// scripts/build-vault.sh builds it; go.sum has what Linux and macOS need.
module vault-plugin-secrets-workfront/test/vault/1.19

go 1.24.0

require github.com/hashicorp/vault v1.19.0

// As in Vault's own go.mod: replacements of a dependency do not count for those who require it.
replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3

replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1

// Holds the sdk at the release that this Vault asks for: with others it does not compile.
replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.15.2
