#!/usr/bin/env bash
# Proves that no engine crate can reach a runtime or a socket library: an engine opens nothing, spawns nothing, sleeps never.
# Asks cargo's own dependency graph, crate by crate, all features on. Usage: scripts/engines.sh
set -euo pipefail
cd "$(dirname "$0")/.."

readonly ENGINES=(routing sip trunk mixer bridge)
readonly SHELL_CRATE=server
readonly FORBIDDEN=(tokio mio async-std smol socket2)

# The names of every crate that PACKAGE is built from, itself included.
built_from() {
  cargo tree --locked --package "$1" --edges normal --all-features --target all --prefix none --format '{p}' | cut -d' ' -f1 | sort -u
}

main() {
  local engine name found reached bad=0
  for engine in "${ENGINES[@]}"; do
    reached=$(built_from "$engine")
    grep -qx "$engine" <<<"$reached" || { echo "engines: cargo tree says nothing of $engine"; exit 1; }
    for name in "${FORBIDDEN[@]}"; do
      found=$(grep -x "$name" <<<"$reached") || continue
      echo "engines: $engine reaches $found. Remove the dependency, or move what needs it to crates/server:"
      cargo tree --locked --package "$engine" --edges normal --all-features --target all --invert "$name"
      bad=1
    done
  done
  # The check must be able to fail: the server does reach tokio, and we must see it.
  grep -qx tokio <<<"$(built_from "$SHELL_CRATE")" || { echo "engines: tokio not found where it is used; the check is blind"; exit 1; }
  [ "$bad" = 0 ] && echo "engines: ${ENGINES[*]} reach none of: ${FORBIDDEN[*]}"
  return "$bad"
}

main "$@"
