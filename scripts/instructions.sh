#!/usr/bin/env bash
# Counts the instructions of the inner loops (benches/benches/instructions.rs) and compares them with benches/instructions.json.
# A count that has grown by more than 5 % fails; --bless writes the new counts, to be committed with the change that caused them.
# Counts belong to a compiler and a kind of processor: with another one bless first, then compare.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BASELINE=benches/instructions.json
readonly FOLDER=${CARGO_TARGET_DIR:-target}/gungraun

main() {
  rm -rf "$FOLDER"
  cargo bench --locked --package benches --bench instructions -- --save-summary=json >/dev/null
  python3 scripts/instructions.py "$FOLDER" "$BASELINE" "$(rustc --version)" "$@"
}

main "$@"
