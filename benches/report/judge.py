"""The independent judges: PESQ (ITU-T P.862, package pesq) and ViSQOL 3 in speech mode (package visqol-python).

Alignment: the recording is laid on its RTP timestamps (what did not come is silence). Each talker's lag is where the
cross-correlation of the recording with what he alone said is largest; the reference is the sum of all, each as late as that.
The codec changes the phases of each voice in its own way, so that the best place of one is up to 1 ms beside that of another one
which is as late: that much, as it is found through the codec alone, is taken off.
So nothing but one constant delay a talker is taken out beforehand; what the bridge shifts in between is the judges' affair:
PESQ aligns each utterance, ViSQOL each patch.
"""

import numpy as np
from scipy.signal import fftconvolve, resample_poly

# PESQ wants silence before and after (P.862.3 section 7.8). Where speech begins with the first sample it may lay the two signals
# side by side wrongly: one lost packet, far from the edge, then costs 1.1 of a score of 4.5, and 0.1 with silence around.
SILENCE_SECONDS = 0.5

# The reference begins at most so much before or after its place in the recording.
SEARCH_SECONDS = 1.0

_visqol = None


def aligned(reference, recording, expected, rate):
    """The part of `recording` that is the reference, and its lag in seconds behind `expected` (a sample index)."""
    search = int(SEARCH_SECONDS * rate)
    begin = max(0, expected - search)
    window = np.asarray(recording[begin : expected + len(reference) + search], float)
    wanted = np.asarray(reference, float)
    if len(window) < len(wanted):
        window = np.pad(window, (0, len(wanted) - len(window)))
    match = fftconvolve(window, wanted[::-1], mode="valid")
    at = int(np.argmax(match))
    return window[at : at + len(wanted)], (begin + at - expected) / rate


def lags_of(tracks, recording, begin, end, offset, rate):
    """Where each track is found in the recording: samples later than where it was said."""
    return [round(aligned(track[begin:end], recording, offset + begin, rate)[1] * rate) for track in tracks]


def mix_aligned(tracks, recording, begin, end, offset, rate, bias):
    """Reference, degraded part and mean lag of a mix. Each talker has a jitter buffer, and so a delay, of his own: his track is found
    in the recording by itself, and the reference is the sum of the tracks, each as late as it was heard, against the first one's
    time. By its `bias` in samples each is found too late through the codec alone."""
    lags = [lag - more for lag, more in zip(lags_of(tracks, recording, begin, end, offset, rate), bias)]
    length = end - begin
    reference = np.zeros(length)
    for track, lag in zip(tracks, lags):
        at = begin + lags[0] - lag
        padded = np.pad(np.asarray(track, float), (max(0, -at), max(0, at + length - len(track))))
        at = max(0, at)
        reference += padded[at : at + length]
    base = offset + begin + lags[0]
    degraded = np.asarray(recording[base : base + length], float)
    return reference, np.pad(degraded, (0, length - len(degraded))), float(np.mean(lags)) / rate


def pesq_of(reference, degraded, rate):
    """MOS-LQO by PESQ: narrowband (P.862.1) at 8 kHz, wideband (P.862.2), which ends at 7 kHz, at higher rates."""
    from pesq import PesqError, pesq

    if rate > 16000:
        reference, degraded, rate = _at_16k(reference, rate), _at_16k(degraded, rate), 16000
    mode = "nb" if rate == 8000 else "wb"
    reference, degraded = (np.pad(one, int(SILENCE_SECONDS * rate)) for one in (reference, degraded))
    try:
        return float(pesq(rate, _whole(reference), _whole(degraded), mode))
    except PesqError:
        return 1.0  # it heard no speech at all


def visqol_of(reference, degraded, rate):
    """MOS-LQO by ViSQOL, which wants 16 kHz."""
    global _visqol
    if _visqol is None:
        from visqol import VisqolApi

        _visqol = VisqolApi()
        _visqol.create(mode="speech")
    reference, degraded = (_at_16k(one, rate) / 32768 for one in (reference, degraded))
    return float(_visqol.measure_from_arrays(reference, degraded, 16000).moslqo)


def _at_16k(samples, rate):
    samples = np.asarray(samples, float)
    return samples if rate == 16000 else resample_poly(samples, 16000 // 8000, rate // 8000)


def _whole(samples):
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)
