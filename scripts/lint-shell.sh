#!/usr/bin/env bash
# Checks the shell scripts: bash -n always, shellcheck where it is installed (in CI it must be).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=(.ci/run)
while IFS= read -r file; do scripts+=("$file"); done < <(find scripts examples docs -name '*.sh' 2>/dev/null | sort)

for file in "${scripts[@]}"; do bash -n "$file"; done
if command -v shellcheck >/dev/null; then
  shellcheck --external-sources "${scripts[@]}"
elif [[ -n "${CI:-}" ]]; then
  echo "shellcheck is not installed" >&2
  exit 1
else
  echo "shellcheck is not installed: scripts were only parsed"
fi
