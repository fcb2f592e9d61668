#!/usr/bin/env python3
"""Writes the music of the lobby: four chords, broken softly, that end where they begin. Usage: scripts/music.py OUT.wav

Computed, not recorded: nobody has a right in it. 16 kHz mono 16 bit, quiet beside the prompts; the same bytes every time.
"""
import array
import math
import sys
import wave

RATE = 16000
BEAT = 0.6          # seconds from one note to the next
PEAK = 4600         # about -17 dBFS; a prompt's peak is up to -3
# C major 7, A minor 7, F major 7, G with the fourth: semitones from middle C, eight notes each.
CHORDS = [
    (-12, 4, 7, 11, 16, 11, 7, 4),
    (-15, 0, 4, 7, 12, 7, 4, 0),
    (-19, 0, 5, 9, 16, 9, 5, 0),
    (-17, 0, 2, 7, 14, 7, 2, 0),
]


def note(semitone, beats):
    """A soft bell: three partials that fade, the higher the sooner."""
    hertz = 261.6256 * 2 ** (semitone / 12)
    for n in range(int(beats * BEAT * RATE)):
        t = n / RATE
        attack = min(1.0, t / 0.03)
        partials = sum(
            share * math.exp(-t * fade) * math.sin(2 * math.pi * hertz * multiple * t)
            for multiple, share, fade in ((1, 1.0, 1.6), (2, 0.22, 2.6), (3, 0.06, 4.0))
        )
        yield attack * partials


def main():
    beats = sum(len(chord) for chord in CHORDS)
    samples = [0.0] * int((beats + 2) * BEAT * RATE)
    for number, chord in enumerate(CHORDS):
        for place, semitone in enumerate(chord):
            begin = int((number * len(chord) + place) * BEAT * RATE)
            loud = 1.0 if place == 0 else 0.62
            for n, value in enumerate(note(semitone, 5)):
                if begin + n < len(samples):
                    samples[begin + n] += loud * value
    scale = PEAK / max(abs(value) for value in samples)
    last = int(0.5 * RATE)
    for n in range(last):  # nothing is left to click at the seam
        samples[-1 - n] *= n / last
    pcm = array.array("h", (round(value * scale) for value in samples))
    pcm[0] = pcm[-1] = 0
    if sys.byteorder == "big":
        pcm.byteswap()
    with wave.open(sys.argv[1], "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(pcm.tobytes())


if __name__ == "__main__":
    main()
