#!/usr/bin/env bash
# Speaks the demo's people: config/demo/voices/voices.toml into one 8 kHz WAV per person beside it, five different voices.
# The WAVs are committed; run this after a text has changed. Usage: scripts/voices.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/speech.sh

readonly FOLDER=config/demo/voices

voice_of() {
  case $1 in
    alice) echo flite/slt/0.95 ;;        # woman, American
    bob)   echo flite/rms/0.80 ;;        # man, American, deep
    carol) echo hts/1.25/0.93 ;;         # woman or girl, higher, a smaller vocal tract
    dave)  echo flite/awb/0.90 ;;        # man, Scottish
    erin)  echo espeak/en-us+f4/165 ;;   # woman, plainly a machine
    *) die "no voice for $1: add one to voice_of" ;;
  esac
}

main() {
  need flite text2wave espeak-ng sox
  local raw name text
  raw=$(mktemp --suffix .wav)
  while IFS=$'\t' read -r name text; do
    synthesize "$(voice_of "$name")" "$text" "$raw"
    finish "$raw" "$FOLDER/$name.wav" 8000 0.05
    printf '%-6s %5.2f s  %6.1f dBFS  %s\n' "$name" "$(soxi -D "$FOLDER/$name.wav")" \
      "$(active_level "$FOLDER/$name.wav")" "$text"
  done < <(entries "$FOLDER/voices.toml")
  rm "$raw"
}

main "$@"
