#!/usr/bin/env bash
# Speaks config/prompts/<language>/prompts.toml into one WAV per prompt beside it. The WAVs are committed; run this after a
# text has changed. Usage: scripts/prompts.sh [language, default en-US]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/speech.sh

main() {
  local language=${1:-en-US} folder raw stem text tail voice tool
  folder=config/prompts/$language
  [ -f "$folder/prompts.toml" ] || die "$folder/prompts.toml is missing: write one line 'stem = \"text\"' per prompt"
  case $language in en-*) voice=flite/slt tool=flite ;; *) voice=pico/$language tool=pico2wave ;; esac
  need "$tool" sox python3
  raw=$(mktemp --suffix .wav)
  while IFS=$'\t' read -r stem text; do
    tail=0.25   # prompts are played back to back: a sentence brings its own pause
    case $stem in
      hold-music) scripts/music.py "$folder/$stem.wav"; continue ;;
      for-this-language) ;;
      digit-*|number-*|for-*|star|pound|plus|there-are|somebody) tail=0.12 ;;
    esac
    synthesize "$voice" "$text" "$raw"
    finish "$raw" "$folder/$stem.wav" 16000 "$tail"
    printf '%-28s %6.2f s  %6.1f dBFS  %s\n' "$stem" "$(soxi -D "$folder/$stem.wav")" \
      "$(active_level "$folder/$stem.wav")" "$text"
  done < <(entries "$folder/prompts.toml")
  rm "$raw"
  du -sh "$folder"
}

main "$@"
