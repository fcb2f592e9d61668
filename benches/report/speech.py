"""The speech that is judged: sentences by three voices of flite (Debian), at 16 kHz, with a room's noise under it.

Synthetic speech stands in perfect silence, in which a judge hears the last bit of G.711; real telephones never do. So each
signal gets noise of -58 dBFS, which the reference has as well.
"""

import subprocess
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE = 16000
ACTIVE_DBFS = -26  # ITU-T P.56's usual level, here over the frames above a threshold
NOISE = 10 ** (-58 / 20) * 32768

VOICES = {
    "slt": "We moved the meeting to Thursday morning. Please bring the figures of the last quarter, and call me when you are here.",
    "rms": "The train leaves at twenty past seven. I can hear you well, but the others are rather faint on this line.",
    "awb": "Nobody has seen the second draft so far. Could somebody read the numbers once more, slowly and clearly?",
}


def speak(folder):
    """Each voice's sentences as float samples at 16 kHz, at one level, without silence at the ends."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return {voice: said(folder / f"{voice}.wav", voice, text) for voice, text in VOICES.items()}


def said(path, voice, text):
    """One voice's sentences; `path` is where flite writes them."""
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", path], check=True)
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(float)
        rate = sound.getframerate()
    samples = resample_poly(samples, RATE, rate) if rate != RATE else samples
    return at_level(trimmed(samples))


def trimmed(samples):
    """Without silence at the ends."""
    loud = np.nonzero(np.abs(samples) > 0.01 * np.abs(samples).max())[0]
    return samples[loud[0] : loud[-1] + 1]


def at_level(samples):
    """At the active level: frames of 20 ms within 30 dB of the loudest count."""
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    power = (frames**2).mean(axis=1)
    active = power[power > power.max() / 1000].mean() ** 0.5
    return samples * (10 ** (ACTIVE_DBFS / 20) * 32768 / active)


def noise(length, seed):
    """A room's noise."""
    return np.random.default_rng(seed).normal(0, NOISE, length)


def at_rate(samples, rate):
    """Float samples at 16 kHz to 16-bit ones at `rate`."""
    if rate != RATE:
        samples = resample_poly(samples, rate, RATE) if rate > RATE else resample_poly(samples, 1, RATE // rate)
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)
