#!/usr/bin/env bash
# Soaks the plugin in a real Vault: mixed load and faults at random, and then whether anything has grown. The plugin is
# built with profiles, into a place of its own. Usage: soak.sh [flags of test/soak, such as -time 10m -seed 1]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh
# As in the Makefile: no go command needs git.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
need go pgrep ps

vault=$(vault_bin 1.21)
# Settings for another Vault must not get in the way of this one.
for v in $(compgen -e VAULT_ || true); do unset "$v"; done

plugin=$PWD/bin/profile/$PLUGIN_NAME
ldflags=$(scripts/version.sh ldflags)
CGO_ENABLED=0 go build -trimpath -tags profile -ldflags "-s -w $ldflags" -o "$plugin" .
go build -trimpath -o bin/profile/soak ./test/soak
exec bin/profile/soak -vault "$vault" -plugin "$plugin" "$@"
