"""What the callers send and what they hear: tones, the plans of the player, and its records.

Every leg that talks sends a tone of its own. In a record of one second each tone is a whole number of periods, so a Fourier
transform separates them exactly, and whoever hears himself, or does not hear the others, is found out.
"""

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import codecs

LOOP_SECONDS = 1
FRAMES = 50 * LOOP_SECONDS
# Tones lie on this grid, so that many fit and a second tells them apart.
LOWEST, STEP, HIGHEST = 320, 10, 3300
# A tone counts as heard when it is at most so much weaker than the strongest, and has at least this amplitude.
HEARD_DB = 15
FAINTEST = 20


def tone_of(number, legs):
    """The frequency of a leg's tone: unique within its room as far as the grid reaches."""
    slots = (HIGHEST - LOWEST) // STEP
    # Spread over the band, so that a small room's tones lie far apart.
    spread = max(1, slots // max(legs, 1))
    return LOWEST + STEP * ((number % legs * spread) % slots)


def tone(frequency, rate, level):
    """A second of a tone as 16-bit samples; `level` is its amplitude."""
    time = np.arange(rate * LOOP_SECONDS) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


@dataclass
class Record:
    """What came back, as arrays over packets."""

    at: np.ndarray  # seconds since the start
    leg: np.ndarray
    length: np.ndarray
    sequence: np.ndarray
    timestamp: np.ndarray
    payload: list  # bytes, or None where it was not kept
    player: dict  # how well the player kept time

    def of(self, leg):
        """Indices of a leg's packets in the order of arrival."""
        return np.nonzero(self.leg == leg)[0]


def rtp(payload_type, sequence, timestamp, ssrc, marker=False):
    """An RTP header."""
    return struct.pack("!BBHII", 0x80, payload_type | (0x80 if marker else 0), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


def plan_of_tones(path, run, remotes, kept, keys):
    """Writes the plan of a run: every leg sends all the time, talkers their tone, the rest silence. `kept` legs are recorded whole."""
    codec = codecs.Codec(run.codec, complexity=run.complexity, bitrate=run.bitrate, fec=run.fec, loss=run.expected_loss)
    talking = run.legs if run.talkers is None else run.talkers
    level = min(6000, 20000 / max(1, talking) ** 0.5 / 2)
    payloads = {}

    def sound(number):
        key = tone_of(number, run.legs) if run.talks(number) else None
        if key not in payloads:
            pcm = tone(key, codec.rate, level) if key else np.zeros(codec.rate * LOOP_SECONDS, np.int16)
            # The second second is taken, so that the loop's seam is no different from what was before.
            payloads[key] = codec.encode(np.tile(pcm, 2))[FRAMES : 2 * FRAMES]
        return payloads[key]

    packets = []
    for number in range(run.total):
        # Callers are not synchronized: their packets are spread over the 20 ms.
        offset = number * 7919 % 20000
        for frame, payload in enumerate(sound(number)):
            header = rtp(run.payload_type, frame, frame * codec.clock // 50, 0x1000 + number)
            packets.append((offset + frame * 20000, number, header + payload))
    legs = [
        {
            "local": f"{run.peer_address}:{run.peer_port + number}", "remote": f"{host}:{port}", "payload": number in kept,
            "srtp": keys.get(number), "sequence_step": FRAMES, "timestamp_step": codec.clock * LOOP_SECONDS,
        }
        for number, (host, port) in enumerate(remotes)
    ]
    write_plan(path, legs, packets, run.seconds, LOOP_SECONDS * 1_000_000)
    return codec


def write_plan(path, legs, packets, seconds, loop_us=0):
    """Writes a plan; `packets` are (microseconds, leg, bytes)."""
    packets.sort(key=lambda packet: packet[0])
    with open(path, "wb") as out:
        out.write(json.dumps({"legs": legs, "seconds": seconds, "loop_us": loop_us}).encode() + b"\n")
        for at, leg, packet in packets:
            out.write(struct.pack("<IHH", at, leg, len(packet)) + packet)


def start_player(binary, plan, record):
    """Starts the player; `read_record` when it has ended."""
    return subprocess.Popen([binary, "--plan", plan, "--record", record], stdout=subprocess.PIPE, text=True)


def finish_player(child, record, kept):
    """Waits for the player and reads its record."""
    try:
        out, _ = child.communicate()
    finally:
        child.kill()
    if child.returncode != 0:
        raise RuntimeError(f"the player has ended with {child.returncode}")
    return read_record(record, kept, json.loads(out))


def read_record(path, kept, player):
    """Reads a record; `kept` says which legs were recorded whole."""
    data = Path(path).read_bytes()
    at, leg, length, sequence, timestamp, payload = [], [], [], [], [], []
    position = 0
    head = struct.Struct("<QHH")
    while position < len(data):
        when, number, size = head.unpack_from(data, position)
        position += head.size
        held = size if number in kept else min(size, 12)
        packet = data[position : position + held]
        position += held
        # RTCP on the same port (RFC 5761) is no audio.
        if held < 12 or 64 <= packet[1] & 0x7F < 96 and packet[1] >= 192:
            continue
        at.append(when / 1e6)
        leg.append(number)
        length.append(size)
        sequence.append(packet[2] << 8 | packet[3])
        timestamp.append(int.from_bytes(packet[4:8], "big"))
        payload.append(packet[12 + 4 * (packet[0] & 15) :] if number in kept else None)
    return Record(
        np.array(at), np.array(leg, int), np.array(length, int), np.array(sequence, int), np.array(timestamp, int), payload, player
    )


def heard_tones(pcm, rate):
    """The tones of the grid in the last whole second of `pcm`, as a set of frequencies."""
    second = np.asarray(pcm[-rate:], float)
    if len(second) < rate:
        return set()
    spectrum = np.abs(np.fft.rfft(second * np.hanning(rate)))
    grid = np.arange(LOWEST, HIGHEST, STEP)
    threshold = max(spectrum[grid].max() * 10 ** (-HEARD_DB / 20), FAINTEST * rate / 4)
    return {int(one) for one in grid if spectrum[one] > threshold}


def hears_rightly(record, leg, run, codec, mixed=5):
    """Whether a leg hears as many others as are mixed, and not itself."""
    payloads = [record.payload[index] for index in record.of(leg)[-100:]]
    if len(payloads) < 100:
        return False
    heard = heard_tones(codec.decode(payloads), codec.rate)
    own = tone_of(leg, run.legs) if run.talks(leg) else None
    first = leg - leg % run.legs
    others = {tone_of(number, run.legs) for number in range(first, first + run.legs) if run.talks(number)} - {own}
    return own not in heard and len(heard & others) >= min(len(others), mixed - (own is not None))


def steadiness(record, legs, after=1.0):
    """Deviation of the packets' distances from 20 ms (p99, p99.9, in ms), the longest gap (ms), and the packets missing by number."""
    deviations, longest, missing = [], 0.0, 0
    for leg in legs:
        mine = record.of(leg)
        mine = mine[record.at[mine] > after]
        if len(mine) < 2:
            return {"p99": float("inf"), "p99.9": float("inf"), "longest": float("inf"), "missing": -1, "packets": 0}
        distances = np.diff(record.at[mine]) * 1e3
        deviations.append(np.abs(distances - 20))
        longest = max(longest, float(distances.max()))
        missing += int(((np.diff(record.sequence[mine]) - 1) & 0xFFFF).sum())
    all_of_them = np.concatenate(deviations)
    return {
        "p99": float(np.percentile(all_of_them, 99)), "p99.9": float(np.percentile(all_of_them, 99.9)),
        "longest": longest, "missing": missing, "packets": len(all_of_them),
    }
