"""./x quality --offline: how speech sounds through the mixer on virtual time, judged by PESQ and ViSQOL.

Roads, scripts and judges are those of ./x quality, but the packets go through the mixer in one program without sockets or clocks
(`benches/src/bin/offline.rs`). So no busy machine disturbs the result. Eight pairs of
sentences by four voices are played, by one talker and by three, over the roads below; Opus uses FEC on both sides. Writes report.md
and report.json. Exit 0: everything was judged (whether an aim is met is in the report).
"""

import argparse
import itertools
import json
import statistics
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from . import codecs, judge, speech, traffic
from .impairment import Road
from .quality import CODECS, Script, aims, alone, biases, laid_out

# In an order in which neighbors, who talk in the same room, have different voices.
SENTENCES = [
    ("slt", "We moved the meeting to Thursday morning. Please bring the figures of the last quarter, and call me when you are here."),
    ("rms", "The train leaves at twenty past seven. I can hear you well, but the others are rather faint on this line."),
    ("awb", "Nobody has seen the second draft so far. Could somebody read the numbers once more, slowly and clearly?"),
    ("kal16", "Her daughter plays the violin quite well. She practices two hours every day, even on Sundays."),
    ("slt", "The kitchen light was on all night. Someone should tell the landlord about it before he finds out."),
    ("rms", "A large order arrived from Finland. We need eleven more people in the warehouse until Christmas."),
    ("awb", "Rain is expected in the afternoon. Take the umbrella, and do not forget your keys again."),
    ("kal16", "Most of the boats stayed in the harbor. The wind was far too strong for a small crew."),
]
OFFLINE_CODECS = (*CODECS, "opus48")
OFFLINE_ROADS = [
    Road(), Road(loss=1), Road(loss=3), Road(loss=5), Road(loss=10),
    Road(jitter=50), Road(loss=1, jitter=20), Road(loss=5, jitter=20), Road(loss=3, jitter=50),
]
PAYLOAD_TYPES = {"pcmu": 0, "pcma": 8, "g722": 9, "opus16": 111, "opus48": 111}
SAID = (
    "  {loss:4g} % {jitter:4g} ms: PESQ {pesq:.2f} (drop {pesq_drop:+.2f} +-{pesq_error:.2f}), "
    "ViSQOL {visqol:.2f} (drop {visqol_drop:+.2f} +-{visqol_error:.2f}), {delay_ms:.0f} ms"
)


class Rooms:
    """One codec and number of talkers: a room for each road, script and repetition, all played at once."""

    def __init__(self, codec, talkers, scripts, roads, clips):
        self.codec, self.talkers, self.scripts = codec, talkers, scripts
        self.legs = talkers + 1  # the last one listens
        # On a good road a repetition would be the same again.
        self.rooms = [
            (road, turn, again)
            for road in roads
            for again in range(clips // len(scripts) if road != Road() else 1)
            for turn in range(len(scripts))
        ]

    def offset(self, room):
        """When the packets of a room begin, in microseconds: somewhere between two ticks."""
        _, turn, again = self.rooms[room]
        return (5 * turn + again) * 7919 % 20000

    def packets(self):
        """What all legs send and the roads leave over."""
        packets, encoded = [], {}
        for room, (road, turn, again) in enumerate(self.rooms):
            for seat in range(self.legs):
                key = (turn, seat)
                if key not in encoded:
                    script = self.scripts[turn]
                    track = script.tracks[seat] if seat < self.talkers else script.silent
                    encoded[key] = self.codec.encode(speech.at_rate(track, self.codec.rate))
                left = [self.offset(room) + 20000 * frame for frame in range(len(encoded[key]))]
                # The listener's own packets need no bad road.
                if seat < self.talkers:
                    left = road.travel(left, 1000 * again + 10 * turn + seat + 7 * road.loss)
                packets += self.leg(room * self.legs + seat, left, encoded[key])
        return packets

    def leg(self, number, left, payloads):
        """One leg's packets: those that were not lost."""
        kind = PAYLOAD_TYPES[self.codec.kind]
        for frame, (at, payload) in enumerate(zip(left, payloads)):
            if at is not None:
                header = traffic.rtp(kind, frame, frame * self.codec.clock // 50, 0x2000 + number, frame == 0)
                yield at, number, header + payload

    def play(self, folder, binary):
        """Sends it all through the mixer; what the listeners got."""
        listeners = {room * self.legs + self.talkers for room in range(len(self.rooms))}
        plan = [{"payload": number in listeners} for number in range(len(self.rooms) * self.legs)]
        seconds = max(script.seconds() for script in self.scripts) + 1
        traffic.write_plan(folder / "plan", plan, self.packets(), seconds)
        subprocess.run(
            [
                binary, "--plan", folder / "plan", "--record", folder / "record", "--legs", str(self.legs),
                "--codec", self.codec.kind, "--payload-type", str(PAYLOAD_TYPES[self.codec.kind]),
            ],
            check=True,
        )
        return traffic.read_record(folder / "record", listeners, {})

    def judged(self, record):
        """Rows for the report, one a road."""
        clips = {}
        with ProcessPoolExecutor() as judges:
            reached = list(judges.map(alone, itertools.repeat(self.codec), [[script] for script in self.scripts]))
            bias = list(judges.map(biases, itertools.repeat(self.codec), self.scripts))
            scored = judges.map(scores, itertools.repeat(self.codec.rate), *zip(*self.clips(record, bias)))
            for one, (road, turn, _) in zip(scored, self.rooms):
                clips.setdefault(road, []).append((one, reached[turn]))
        return [self.row(road, judged) for road, judged in clips.items()]

    def clips(self, record, bias):
        """What the listener of each room got, what he should have, and where to look."""
        rate = self.codec.rate
        for room, (_, turn, _) in enumerate(self.rooms):
            script = self.scripts[turn]
            recording = laid_out(record, room * self.legs + self.talkers, self.codec)
            tracks = [speech.at_rate(track, rate) for track in script.heard]
            begin, end = (edge * rate // speech.RATE for edge in (script.begin, script.end))
            yield recording, tracks, begin, end, self.offset(room) * rate // 1_000_000, bias[turn]

    def row(self, road, judged):
        """The means over the clips of a road. The drop is against the codec alone, encoded twice, clip by clip."""
        row = {"codec": self.codec.kind, "talkers": self.talkers, "loss": road.loss, "jitter": road.jitter, "clips": len(judged)}
        for name in ("pesq", "visqol"):
            drops = [own[f"{name}_twice"] - scores[name] for scores, own in judged]
            row[name] = round(statistics.mean(scores[name] for scores, _ in judged), 3)
            row[f"{name}_drop"] = round(statistics.mean(drops), 3)
            row[f"{name}_error"] = round(statistics.stdev(drops) / len(drops) ** 0.5, 3)
        row["delay_ms"] = round(1000 * statistics.mean(scores["lag"] for scores, _ in judged), 1)
        return row


def scores(rate, recording, tracks, begin, end, offset, bias):
    """What the judges say of one clip, and the delay in seconds."""
    reference, degraded, lag = judge.mix_aligned(tracks, recording, begin, end, offset, rate, bias)
    return {"pesq": judge.pesq_of(reference, degraded, rate), "visqol": judge.visqol_of(reference, degraded, rate), "lag": lag}


def main():
    """Parses, plays, judges, writes."""
    parser = argparse.ArgumentParser(prog="./x quality --offline", description=__doc__)
    parser.add_argument("codecs", nargs="?", default=",".join(OFFLINE_CODECS), help=f"separated by commas (default {','.join(OFFLINE_CODECS)})")
    parser.add_argument("--quick", action="store_true", help="two clips by one talker, 0 and 5 %% loss; its numbers mean nothing")
    parser.add_argument("--binaries", type=Path, required=True, help="where the program offline is")
    parser.add_argument("--out", type=Path, required=True, help="the report's folder")
    options = parser.parse_args()
    kinds = options.codecs.split(",")
    if unknown := set(kinds) - set(PAYLOAD_TYPES):
        parser.error(f"no codec {', '.join(sorted(unknown))}: there are {', '.join(PAYLOAD_TYPES)}")
    folder, binary = options.out.resolve(), options.binaries.resolve() / "offline"
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - began:5.0f} s] {text}", flush=True)

    spoken = {n: speech.said(folder / f"{n}-{voice}.wav", voice, text) for n, (voice, text) in enumerate(SENTENCES)}
    turned = [list(spoken)[turn:] + list(spoken)[:turn] for turn in spoken]
    roads = [Road(), Road(loss=5)] if options.quick else OFFLINE_ROADS
    rows = []
    for kind in kinds:
        codec = codecs.Codec(kind, fec=True, loss=10, complexity=9)
        for talkers in (1,) if options.quick else (1, 3):
            # Rooms of three take longer to judge: half of them, and each road twice.
            count = 2 if options.quick else 8 if talkers == 1 else 4
            scripts = [Script(spoken, voices, talkers) for voices in turned[:count]]
            rooms = Rooms(codec, talkers, scripts, roads, 2 if options.quick else len(SENTENCES))
            say(f"{kind}, {talkers} talking: {len(rooms.rooms)} rooms")
            rows += rooms.judged(rooms.play(folder, binary))
            for row in rows[-len(roads) :]:
                say(SAID.format(**row))
    asked = aims(rows)
    (folder / "report.json").write_text(json.dumps({"quick": options.quick, "rows": rows, "aims": asked}, indent=1) + "\n")
    (folder / "report.md").write_text(page(rows, asked, roads, options.quick))
    for one in asked:
        say(f"{'met' if one['met'] else 'NOT met'}: {one['what']}: {one['value']}; aim {one['aim']}")
    say(f"written: {folder / 'report.md'}, {folder / 'report.json'}")


def page(rows, asked, roads, quick):
    """The report for people."""
    lines = ["# How speech sounds, on virtual time", ""]
    if quick:
        lines += ["**A quick run: it shows that the judging works. Its numbers are not to be quoted.**", ""]
    lines += ["How far MOS-LQO drops against the codec alone, encoded twice, by PESQ / ViSQOL.", ""]
    lines += ["| | " + " | ".join(map(str, roads)) + " |", "|---" * (len(roads) + 1) + "|"]
    for number in range(0, len(rows), len(roads)):
        drops = [f"{row['pesq_drop']:.2f} / {row['visqol_drop']:.2f}" for row in rows[number : number + len(roads)]]
        lines.append(f"| {rows[number]['codec']}, {rows[number]['talkers']} talking | " + " | ".join(drops) + " |")
    lines += ["", "| what | reached | aim | met |", "|---|---|---|---|"]
    lines += [f"| {one['what']} | {one['value']} | {one['aim']} | {'yes' if one['met'] else '**no**'} |" for one in asked]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
