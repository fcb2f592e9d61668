"""How speech sounds through the bridge: real SIP and RTP, bad roads in front of it, judged by PESQ and ViSQOL.

For each codec, and for one and three talkers, one bridge is started and every road has rooms of its own in it, all at the same
time. Talkers speak (three of them one after another, with overlaps), and one leg of each room only listens; what it received is
compared with the sum of what was said. Beside it stands the codec alone: the same speech through the same number of encodings
without any bridge or network, once (as between two telephones) and twice (as any bridge that mixes must).
"""

import statistics
import time
from dataclasses import dataclass, field

import numpy as np

from . import codecs, digits, judge, speech, traffic
from .impairment import ROADS, Road
from .partyline import Partyline
from .run import Run

PREAMBLE = 4.0  # seconds of speech before the judged part: jitter buffers and gains settle
TAIL = 1.5
HELD = 0.4  # seconds for which a talker's line is still heard after his last word
CODECS = ("pcmu", "g722", "opus16")
# What the drop may be, by loss in percent (without jitter).
AIMS = {0: 0.1, 1: 0.2, 5: 0.6}

HOW = """*How it was judged.* Three voices (flite, with a room's noise of -58 dBFS under them) speak through a running release build, called
over SIP; the sender itself loses and delays packets, from a seed. A listening leg's packets are decoded by FFmpeg's libraries, laid on
their RTP timestamps, and given to PESQ (narrowband at 8 kHz, wideband at 16 kHz) and ViSQOL (speech mode). The reference is the
sum of what was said, uncoded, each talker's line open while he has the word and 0.4 s longer (nobody wants the noise of those who do not
speak, and the bridge mixes none); each talker's part is shifted by one constant lag, where the recording correlates best with what he alone said,
since each has a jitter buffer of his own; what the codec alone adds to that for one voice and not for another, up to 1 ms with Opus, is
taken off. The first four seconds of speech, in which jitter buffers and gains settle, are not judged. *Codec alone*
is the same speech without bridge or network, encoded once, and twice as any bridge that mixes must do; the drop is against the latter.
The delay is the mean of these lags: from a sample's place in the sender's stream to its place in the listener's. Scores are means over three clips (one
talker) or two (three talkers, one after another with overlaps)."""


@dataclass
class Verdict:
    """Mean opinion scores of one codec, number of talkers and road."""

    codec: str
    talkers: int
    road: Road
    pesq: list = field(default_factory=list)
    visqol: list = field(default_factory=list)
    lag: list = field(default_factory=list)

    def row(self, alone):
        """As an object of the report; `alone` are the codec's own scores."""
        pesq, visqol = statistics.mean(self.pesq), statistics.mean(self.visqol)
        return {
            "codec": self.codec, "talkers": self.talkers, "loss": self.road.loss, "jitter": self.road.jitter,
            "pesq": round(pesq, 3), "visqol": round(visqol, 3), "clips": len(self.pesq),
            "delay_ms": round(1000 * statistics.mean(self.lag), 1),
            "pesq_drop": round(alone["pesq_twice"] - pesq, 3), "visqol_drop": round(alone["visqol_twice"] - visqol, 3),
            "pesq_drop_once": round(alone["pesq_once"] - pesq, 3), "visqol_drop_once": round(alone["visqol_once"] - visqol, 3),
        }


class Script:
    """Who says what when in one room: float samples at 16 kHz for each talker, all equally long, and where the judged part lies.

    `tracks` is what the talkers' telephones send, with the noise of their lines all the time. `heard` is what an ideal bridge lets
    others hear of it: a line is open while its talker has the word, and silent before and after. A bridge that mixed the noise of
    all lines would sound worse with every caller; against a reference that holds it, the one that does not would be punished.
    """

    def __init__(self, spoken, voices, talkers):
        if talkers == 1:
            parts, starts = [spoken[voices[0]]], [0.0]
        else:
            parts = [spoken[voice] for voice in voices[:talkers]]
            starts = []
            position = 0.0
            for part in parts:
                starts.append(position)
                # The next one begins before this one has ended.
                position += 0.75 * len(part) / speech.RATE
        ends = [start + len(part) / speech.RATE for start, part in zip(starts, parts)]
        judged = max(ends)
        self.begin = int(PREAMBLE * speech.RATE)
        self.end = self.begin + int(judged * speech.RATE)
        length = self.end + int(TAIL * speech.RATE)
        self.tracks, self.heard = [], []
        for number, (start, part) in enumerate(zip(starts, parts)):
            track = speech.noise(length, number)
            at = self.begin + int(start * speech.RATE)
            track[at : at + len(part)] += part
            # The preamble: everybody says the beginning of his part, one after another.
            share = self.begin // len(parts)
            piece = part[: share - speech.RATE // 4]
            track[share * number : share * number + len(piece)] += piece
            self.tracks.append(track)
            open_line = np.zeros(length)
            closes = at + len(part) + int(HELD * speech.RATE)
            open_line[at:closes] = track[at:closes]
            self.heard.append(open_line)
        self.silent = speech.noise(length, 99)

    def seconds(self):
        """How long it takes."""
        return len(self.silent) / speech.RATE


def alone(codec, scripts):
    """The codec's own mean scores over the scripts."""
    scores = {"pesq_once": [], "visqol_once": [], "pesq_twice": [], "visqol_twice": []}
    for script in scripts:
        tracks = [speech.at_rate(track, codec.rate) for track in script.heard]
        mixed = speech.at_rate(np.sum(script.heard, axis=0), codec.rate)
        straight = padded(codec.decode(codec.encode(mixed)), len(mixed))
        reference, begin = judged_part(script, codec.rate)
        for name, signal in (("once", straight), ("twice", twice(codec, tracks))):
            degraded, _ = judge.aligned(reference, signal, begin, codec.rate)
            scores["pesq_" + name].append(judge.pesq_of(reference, degraded, codec.rate))
            scores["visqol_" + name].append(judge.visqol_of(reference, degraded, codec.rate))
    return {key: statistics.mean(values) for key, values in scores.items()}


def biases(codec, script):
    """By how many samples each talker is found later than all are on average, through the codec alone, which delays all alike."""
    tracks = [speech.at_rate(track, codec.rate) for track in script.heard]
    begin, end = (edge * codec.rate // speech.RATE for edge in (script.begin, script.end))
    lags = judge.lags_of(tracks, twice(codec, tracks), begin, end, 0, codec.rate)
    return [lag - round(statistics.mean(lags)) for lag in lags]


def twice(codec, tracks):
    """What a bridge that does nothing but mix would send on: each track encoded, their sum encoded again."""
    once = sum(padded(codec.decode(codec.encode(track)), len(track)).astype(float) for track in tracks)
    return padded(codec.decode(codec.encode(np.clip(once, -32768, 32767).astype(np.int16))), len(tracks[0]))


def padded(samples, length):
    """Exactly `length` samples."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def judged_part(script, rate):
    """The reference: the sum of what was said, without the preamble, and where it begins."""
    mixed = speech.at_rate(np.sum(script.heard, axis=0), rate)
    begin, end = (edge * rate // speech.RATE for edge in (script.begin, script.end))
    return mixed[begin:end], begin


def through_the_bridge(folder, binaries, codec_name, scripts, talkers, roads, say):
    """Plays the scripts over every road at once; returns a Verdict a road."""
    rooms = [(road, script) for road in roads for script in scripts]
    legs = talkers + 1
    seconds = max(script.seconds() for script in scripts)
    run = Run(rooms=len(rooms), legs=legs, codec=codec_name, seconds=seconds + 1, fec=True, expected_loss=10)
    codec = codecs.Codec(codec_name, fec=True, loss=10, complexity=9)
    say(f"{codec_name}, {talkers} talking: {len(rooms)} rooms at once")
    bridge = Partyline(folder / "bridge", run, binaries / "partyline")
    try:
        # The entry tones of the last leg must be over.
        time.sleep(3)
        packets, encoded = [], {}
        for room, (road, script) in enumerate(rooms):
            for seat in range(legs):
                number = room * legs + seat
                key = (id(script), seat)
                if key not in encoded:
                    track = script.tracks[seat] if seat < talkers else script.silent
                    encoded[key] = codec.encode(speech.at_rate(track, codec.rate))
                # All of a room share the begin, to within a packet: what is judged is one signal.
                offset = room * 7919 % 20000
                times = [offset + 20000 * frame for frame in range(len(encoded[key]))]
                # The listener's own packets need no bad road.
                left = road.travel(times, number) if seat < talkers else times
                for frame, (at, payload) in enumerate(zip(left, encoded[key])):
                    if at is not None:
                        header = traffic.rtp(run.payload_type, frame, frame * codec.clock // 50, 0x2000 + number, frame == 0)
                        packets.append((at, number, header + payload))
        listeners = {room * legs + talkers for room in range(len(rooms))}
        plan = [
            {
                "local": f"{run.peer_address}:{run.peer_port + number}", "remote": f"{host}:{port}", "payload": number in listeners,
                "srtp": None, "sequence_step": 0, "timestamp_step": 0,
            }
            for number, (host, port) in enumerate(bridge.remotes)
        ]
        traffic.write_plan(folder / "plan", plan, packets, run.seconds)
        player = traffic.start_player(binaries / "player", folder / "plan", folder / "record")
        record = traffic.finish_player(player, folder / "record", listeners)
    finally:
        bridge.stop()
    verdicts, bias = {road: Verdict(codec_name, talkers, road) for road in roads}, {}
    for room, (road, script) in enumerate(rooms):
        recording = laid_out(record, room * legs + talkers, codec)
        tracks = [speech.at_rate(track, codec.rate) for track in script.heard]
        begin, end = (edge * codec.rate // speech.RATE for edge in (script.begin, script.end))
        offset = room * 7919 % 20000 * codec.rate // 1_000_000
        if id(script) not in bias:
            bias[id(script)] = biases(codec, script)
        reference, degraded, lag = judge.mix_aligned(tracks, recording, begin, end, offset, codec.rate, bias[id(script)])
        verdicts[road].lag.append(lag)
        verdicts[road].pesq.append(judge.pesq_of(reference, degraded, codec.rate))
        verdicts[road].visqol.append(judge.visqol_of(reference, degraded, codec.rate))
    return verdicts


def laid_out(record, leg, codec):
    """What a leg received, on its RTP timestamps, beginning with the player's start. Nothing came: silence."""
    mine = record.of(leg)
    if len(mine) == 0:
        return np.zeros(codec.rate, np.int16)
    base = record.timestamp[mine[0]]
    frames = ((record.timestamp[mine] - base + (1 << 31)) % (1 << 32) - (1 << 31)) * 50 // codec.clock
    slots = [None] * (int(frames.max()) + 1)
    for frame, index in zip(frames, mine):
        if frame >= 0:
            slots[int(frame)] = record.payload[index]
    # The first packet lies where it arrived; all others by their timestamps.
    return np.concatenate([np.zeros(int(record.at[mine[0]] * codec.rate), np.int16), codec.decode(slots)])


def measure(folder, binaries, say, notes, quick=False):
    """The whole table: rows for the report, what the codecs reach alone, and what is asked of it. What fails is noted."""
    folder.mkdir(parents=True, exist_ok=True)
    spoken = speech.speak(folder / "speech")
    voices = list(spoken)
    rows, own = [], []
    for codec_name in CODECS[:1] if quick else CODECS:
        for talkers in (1,) if quick else (1, 3):
            turns = range(1 if quick else 3 if talkers == 1 else 2)
            scripts = [Script(spoken, voices[turn:] + voices[:turn], talkers) for turn in turns]
            roads = [Road(), Road(loss=5)] if quick else ROADS
            try:
                verdicts = through_the_bridge(folder, binaries, codec_name, scripts, talkers, roads, say)
            except (RuntimeError, OSError, ValueError) as error:
                notes.append(f"quality of {codec_name} with {talkers} talking could not be measured: {error}")
                continue
            reached = alone(codecs.Codec(codec_name), scripts)
            own.append({"codec": codec_name, "talkers": talkers} | {key: round(value, 3) for key, value in reached.items()})
            rows += [verdict.row(reached) for verdict in verdicts.values()]
            for row in rows[-len(roads) :]:
                say(SAID.format(**row))
    keyed = digits.measure(folder, binaries, say, callers=20 if quick else 100)
    asked = aims(rows) + [{
        "what": f"digits misread at {digits.LOSS} % loss", "aim": "<= 1 %", "met": keyed["misread"] <= 0.01,
        "value": f"{100 * keyed['misread']:.2f} % ({keyed['right']} of {keyed['callers']} conference IDs of {len('123456789#')} keys read rightly)",
    }]
    return {"rows": rows, "alone": own, "aims": asked, "digits": keyed, "how": HOW}


SAID = (
    "  {loss:4g} % {jitter:4g} ms: PESQ {pesq:.2f} (drop {pesq_drop:+.2f}), ViSQOL {visqol:.2f} (drop {visqol_drop:+.2f}), "
    "{delay_ms:.0f} ms"
)


def aims(rows):
    """What is asked of the drop, by loss, codec and judge: one line each, with the worse of one and three talkers."""
    lines = []
    for loss, most in AIMS.items():
        for judge_name in ("pesq", "visqol"):
            drops = {}
            for row in rows:
                if row["loss"] == loss and row["jitter"] == 0:
                    drops.setdefault(row["codec"], []).append(row[f"{judge_name}_drop"])
            if drops:
                worst = {codec: max(found) for codec, found in drops.items()}
                shown = ", ".join(f"{codec} {drop:+.2f}" for codec, drop in worst.items())
                name = {"pesq": "PESQ", "visqol": "ViSQOL"}[judge_name]
                lines.append({
                    "what": f"MOS-LQO drop at {loss} % loss, by {name}, the worse of one and three talkers", "value": shown,
                    "aim": f"<= {most}", "met": all(drop <= most for drop in worst.values()),
                })
    return lines
