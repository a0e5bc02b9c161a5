#!/usr/bin/env bash
# Prints what is built: its version (always a semantic one: Vault's plugin catalog takes no other), its commit and
# the commit's date. With the argument `ldflags`: the same as linker flags.
#
#   v1.2.3                          HEAD is tagged
#   v0.1.0-dev+0123456789ab         any other commit
#   v0.1.0-dev+0123456789ab.dirty   with changes that are not committed (a tag: v1.2.3+dirty)
#   v0.1.0-dev                      no git: unpacked from an archive
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v0.1.0-dev commit=unknown date=unknown

# An empty --show-cdup: this directory is the top of the work tree, not a folder in somebody else's.
if cdup=$(git rev-parse --show-cdup 2>/dev/null) && [[ -z "$cdup" ]] && commit=$(git rev-parse --verify --quiet HEAD); then
  number='(0|[1-9][0-9]*)'
  tag=$(git tag --points-at HEAD --sort=-v:refname | grep -E "^v$number\.$number\.$number\$" | head -n 1 || true)
  metadata=()
  if [[ -n "$tag" ]]; then version=$tag; else metadata+=("${commit:0:12}"); fi
  if [[ -n "$(git status --porcelain)" ]]; then metadata+=(dirty); fi
  if ((${#metadata[@]})); then
    version+=+$(IFS=. && echo "${metadata[*]}")
  fi
  # The commit's date, not today's: the same commit gives the same binary.
  date=$(TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)
else
  commit=unknown
fi

# https://reproducible-builds.org/specs/source-date-epoch/; GNU date, then BSD date.
if [[ -n "${SOURCE_DATE_EPOCH:-}" ]]; then
  date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
fi

case "${1:-}" in
  ldflags) echo "-X main.version=$version -X main.commit=$commit -X main.buildDate=$date" ;;
  *) printf '%s\n' "$version" "$commit" "$date" ;;
esac
