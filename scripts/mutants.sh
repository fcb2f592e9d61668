#!/usr/bin/env bash
# Takes one defense after the other out of a copy of the tree and expects its test to go red: ./x mutants [NAME...]
# A mutant is tests/mutants/NAME.patch: what the defense is, the command that must fail, and the change that removes it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

readonly HOME_TREE=$PWD
readonly FOLDER=${CARGO_TARGET_DIR:-$PWD/target}/mutants
readonly TREE=$FOLDER/tree LOGS=$FOLDER/logs
export CARGO_TARGET_DIR=$FOLDER/target CARGO_INCREMENTAL=1 CARGO_TERM_COLOR=never

# The copy keeps the times of what did not change, so that only the mutated crate is built anew.
copy_tree() {
  mkdir -p "$TREE" "$LOGS"
  git ls-files -z --cached --others --exclude-standard | rsync --archive --checksum --files-from=- --from0 ./ "$TREE/"
}

# Prints one word: killed, survived, unapplied, uncompiled or undirected.
try() {
  local patch=$1 log=$LOGS/$2.log command result
  command=$(sed -n 's/^# test: //p' "$patch")
  [ -n "$command" ] || { echo undirected; return; }
  (cd "$TREE" && patch --strip=1 --forward --silent --input="$patch") >"$log" 2>&1 || { echo unapplied; return; }
  if (cd "$TREE" && eval "$command") >>"$log" 2>&1; then
    result=survived
  elif grep -q '^test result: FAILED\|^test .* FAILED\|panicked at' "$log"; then
    result=killed
  else
    result=uncompiled
  fi
  (cd "$TREE" && patch --strip=1 --reverse --silent --input="$patch") >>"$log" 2>&1
  echo "$result"
}

main() {
  local names=("$@") bad=0 number=0 began word patch
  [ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd tests/mutants && ls -- *.patch | sed 's/\.patch$//')
  rm -rf "$TREE"
  copy_tree
  for name in "${names[@]}"; do
    number=$((number + 1)) began=$SECONDS patch=$HOME_TREE/tests/mutants/$name.patch
    [ -f "$patch" ] || { echo "no mutant '$name' in tests/mutants" >&2; exit 2; }
    word=$(try "$patch" "$name")
    printf '%3d/%d  %-10s %4d s  %-32s %s\n' "$number" "${#names[@]}" "$word" $((SECONDS - began)) "$name" "$(sed -n '1s/^# //p' "$patch")"
    [ "$word" = killed ] || { bad=$((bad + 1)); echo "         see $LOGS/$name.log"; }
  done
  echo "$((number - bad)) of $number mutants were killed by their tests"
  [ "$bad" -eq 0 ]
}

main "$@"
