"""Are keys read rightly over a bad road? Callers dial in and key a conference ID by telephone-event while a fifth of their packets
is lost; the bridge's own counter says how many IDs it read rightly."""

import random
import struct

from . import traffic
from .partyline import EVENTS, Partyline
from .run import Run

LOSS = 20
# A key is down for 100 ms and up for 100 ms; its end is sent three times (RFC 4733 section 2.5.1.4).
DOWN, UP, ENDS = 5, 5, 3
BEFORE = 100  # packets of silence: the welcome has begun
AFTER = 9 * 50
SILENCE = bytes([0xFF]) * 160


def measure(folder, binaries, say, callers=100):
    """Returns IDs keyed, IDs read rightly at once, digits, and the share of digits misread (at least one in each wrong ID)."""
    run = Run(rooms=1, legs=callers, dial_in=True, peer_address="127.0.2.1")
    run.seconds = (BEFORE + 10 * (DOWN + UP) + AFTER) / 50 + 3
    say(f"{callers} callers key their conference ID while {LOSS} % of their packets are lost")
    bridge = Partyline(folder / "bridge", run, binaries / "partyline")
    try:
        keys = bridge.meetings[0] + "#"
        packets = []
        for number in range(callers):
            dice = random.Random(number)
            stream = list(key_presses(keys, 0x3000 + number))
            packets += [(number * 20_000 + at, number, packet) for at, packet in stream if dice.random() * 100 >= LOSS]
        plan = [
            {
                "local": f"{run.peer_address}:{run.peer_port + number}", "remote": f"{host}:{port}", "payload": False,
                "srtp": None, "sequence_step": 0, "timestamp_step": 0,
            }
            for number, (host, port) in enumerate(bridge.remotes)
        ]
        traffic.write_plan(folder / "plan", plan, packets, run.seconds)
        before = bridge.metrics()
        player = traffic.start_player(binaries / "player", folder / "plan", folder / "record")
        traffic.finish_player(player, folder / "record", set())
        after = bridge.metrics()
    finally:
        bridge.stop()
    verdicts = {}
    for series, count in after.items():
        if series.startswith("partyline_attendant_attempts_total"):
            result = series.split('result="')[1].split('"')[0]
            verdicts[result] = verdicts.get(result, 0) + int(count - before.get(series, 0))
    right = verdicts.get("accepted", 0)
    # A caller who was misread is asked again and keys nothing more: whoever is not in was misread.
    misread = (callers - right) / (callers * len(keys))
    say(f"  {right} of {callers} IDs were read rightly: {verdicts}")
    return {"callers": callers, "right": right, "digits": callers * len(keys), "misread": misread, "verdicts": verdicts}


def key_presses(keys, ssrc):
    """(microseconds, packet) of silence, the keys, and silence again. Numbers run on whatever is lost later."""
    sequence = timestamp = frame = 0

    def packet(payload_type, at, payload, marker=False):
        nonlocal sequence
        sequence += 1
        return frame * 20_000, traffic.rtp(payload_type, sequence, at, ssrc, marker) + payload

    for _ in range(BEFORE):
        yield packet(0, timestamp, SILENCE)
        frame, timestamp = frame + 1, timestamp + 160
    for key in keys:
        event, begin = "0123456789*#".index(key), timestamp
        for step in range(DOWN + ENDS):
            over = step >= DOWN
            duration = 160 * min(step + 1, DOWN)
            yield packet(EVENTS, begin, struct.pack("!BBH", event, (0x80 if over else 0) | 10, duration), step == 0)
            if step < DOWN:
                frame, timestamp = frame + 1, timestamp + 160
        for _ in range(UP):
            yield packet(0, timestamp, SILENCE)
            frame, timestamp = frame + 1, timestamp + 160
    for _ in range(AFTER):
        yield packet(0, timestamp, SILENCE)
        frame, timestamp = frame + 1, timestamp + 160
