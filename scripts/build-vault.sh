#!/usr/bin/env bash
# Builds the real Vault server that test/vault/<1.21|1.19> pins, once, and prints the binary's path.
# It is built again only when the go.mod or go.sum there changes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

line=${1:-}
module=test/vault/$line
if [[ -z "$line" || ! -f "$module/go.mod" ]]; then
  echo "usage: $0 $(cd test/vault && echo ./* | sed 's/\.\///g; s/ / | /g')" >&2
  exit 2
fi
version=$(awk '$1 == "require" && $2 == "github.com/hashicorp/vault" {print substr($3, 2)}' "$module/go.mod")
binary=$PWD/bin/vault-$version

# A checksum, not file times: those change with every clone and checkout.
pinned=$(cat "$module/go.mod" "$module/go.sum" | cksum)
if [[ ! -x "$binary" || "$(cat "$binary.pinned" 2>/dev/null)" != "$pinned" ]]; then
  echo "building Vault $version (3 to 8 minutes the first time)" >&2
  mkdir -p bin
  # The tag `minimal` leaves out most built-in plugins, which we have no use for. Into place only when complete.
  (cd "$module" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -tags minimal -trimpath -ldflags '-s -w' \
    -o "$binary.new" github.com/hashicorp/vault)
  mv "$binary.new" "$binary"
  echo "$pinned" >"$binary.pinned"
fi
echo "$binary"
