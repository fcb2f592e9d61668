# shellcheck shell=bash
# Sourced by prompts.sh and voices.sh: text to a level, trimmed WAV. Development time only; the bridge never synthesizes.
# Needs the Debian packages flite, festival, festvox-us-slt-hts, espeak-ng and sox, and libttspico-utils (section non-free) for
# what is spoken by SVOX's Pico.

readonly TARGET_LEVEL=-20   # dBFS RMS of the speech itself, pauses left out
readonly PEAK_LIMIT=-3.5    # dBFS; leaves room for G.711 and for two people talking at once

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

need() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null ||
      die "$tool is missing: apt-get install flite festival festvox-us-slt-hts espeak-ng sox libttspico-utils (non-free)"
  done
}

# The lines `name = "text"` of a flat TOML file as "name<TAB>text". No escapes: a text has no double quote in it.
entries() { sed -nE 's/^([A-Za-z0-9-]+) *= *"([^"]*)"$/\1\t\2/p' "$1"; }

# synthesize VOICE TEXT OUT.wav, at the voice's own rate. VOICE is flite/<name>[/stretch], espeak/<name>/<words per minute>,
# pico/<language>, or hts/<speed>/<tempo>: festival's us_slt_arctic_hts played faster, which raises pitch and formants as in a smaller person,
# and then slowed down again.
synthesize() {
  local voice=$1 text=$2 out=$3 engine first second
  IFS=/ read -r engine first second <<<"$voice"
  # Every English voice here would read "ID" as a word.
  [[ $engine == pico ]] || text=$(sed -E 's/\bID\b/I D/g' <<<"$text")
  case $engine in
    flite)  flite -voice "$first" --setf duration_stretch="${second:-1.0}" -t "$text" -o "$out" ;;
    espeak) espeak-ng -v "$first" -s "${second:-160}" -w "$out" "$text" ;;
    pico)   pico2wave -l "$first" -w "$out" "$text" ;;
    hts)
      text2wave -o "$out.slow.wav" -eval '(voice_cmu_us_slt_arctic_hts)' <<<"$text"
      sox -D "$out.slow.wav" "$out" gain -3 speed "$first" tempo -s "$second"
      rm "$out.slow.wav" ;;
    *) die "unknown voice $voice" ;;
  esac
}

# finish IN.wav OUT.wav RATE TAIL_SECONDS: mono s16, no silence at the ends but TAIL, speech at TARGET_LEVEL.
finish() {
  local in=$1 out=$2 rate=$3 tail=$4 work level peak gain
  work=$(mktemp -d)
  local ends=(silence 1 0.01 -45d reverse silence 1 0.01 -45d reverse)
  sox "$in" -r "$rate" -c 1 -e float -b 32 "$work/trimmed.wav" highpass 80 "${ends[@]}" gain -n -6
  level=$(active_level "$work/trimmed.wav")
  gain=$(awk -v a="$level" -v t="$TARGET_LEVEL" 'BEGIN { printf "%.2f", t - a }')
  peak=$(awk -v p=-6 -v g="$gain" 'BEGIN { printf "%.2f", p + g }')
  if awk -v p="$peak" -v l="$PEAK_LIMIT" 'BEGIN { exit !(p > l) }'; then
    gain=$(awk -v g="$gain" -v p="$peak" -v l="$PEAK_LIMIT" 'BEGIN { printf "%.2f", g - (p - l) }')
  fi
  # -D: no dither, so that the same tools make the same bytes and silence stays silent
  sox -D "$work/trimmed.wav" -e signed -b 16 "$out" gain "$gain" fade t 0.005 0 0.010 pad 0.01 "$tail"
  rm -r "$work"
}

# RMS in dBFS of what is left when pauses are taken out.
active_level() {
  sox "$1" -n silence 1 0.02 -40d -1 0.05 -40d stats 2>&1 | awk '/^RMS lev dB/ { print $4 }'
}
