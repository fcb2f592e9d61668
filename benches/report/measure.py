"""One system, one situation, measured once: CPU, memory, regularity, delay, and whether the mix was right."""

import dataclasses
import json
import statistics
import subprocess
import time

from . import traffic
from .floor import Floor
from .janus import Janus
from .partyline import Partyline

WARM_UP = 2.0
# On a machine that others use too, a program may be kept waiting for so long that the mix has holes: then once more.
TRIES = 2
ODD = 0.02
# partyline mixes so many at a time (the default); the others mix all.
MIXED = {"partyline": 5}


class Lab:
    """Where the programs are, and where their files go."""

    def __init__(self, folder, binaries, say):
        self.folder, self.binaries, self.say = folder, binaries, say
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, system, run):
        """Starts a system: partyline, floor, floor-unconnected or janus."""
        if system == "partyline":
            return Partyline(self.folder / "partyline", run, self.binaries / "partyline")
        if system == "janus":
            return Janus(self.folder / "janus", run)
        return Floor(self.folder, run, self.binaries / "floor", unconnected=system == "floor-unconnected")

    def measure(self, system, run, probes=0):
        """Starts it, lets the fleet call, and returns a sample. A sample with a wrong mix says so in `right`."""
        under_test = self.start(system, run)
        try:
            if system == "partyline":
                time.sleep(1.5)  # the entry tones
            sample = self._play(under_test, run, probes)
            sample["rss_kib"] = under_test.program.rss_kib()
            sample["threads"] = under_test.program.threads()
        finally:
            ended = under_test.stop()
        return sample | {"system": system, "ended": ended}

    def measure_keyed(self, run):
        """Like `measure`, for partyline with SRTP or without, by the player: tones of the first legs are listened to."""
        under_test, kept = self.start("partyline", run), set(range(min(run.total, 12)))
        plan, recording = self.folder / "plan", self.folder / "record"
        try:
            time.sleep(1.5)
            whole = dataclasses.replace(run, seconds=run.seconds + WARM_UP + 0.5, payload_type=run.payload_type)
            codec = traffic.plan_of_tones(plan, whole, under_test.remotes, kept, under_test.exchange.keys)
            player = traffic.start_player(self.binaries / "player", plan, recording)
            time.sleep(WARM_UP)
            cpu, clock = under_test.program.cpu(), time.monotonic()
            time.sleep(run.seconds)
            spent, passed = under_test.program.cpu() - cpu, time.monotonic() - clock
            record = traffic.finish_player(player, recording, kept)
            sample = {"rss_kib": under_test.program.rss_kib(), "threads": under_test.program.threads()}
        finally:
            ended = under_test.stop()
        wrong = [leg for leg in kept if not traffic.hears_rightly(record, leg, run, codec)]
        steady = traffic.steadiness(record, range(run.total), WARM_UP)
        mix = {"right": not wrong, "wrong_legs": len(wrong), "windows": len(kept), "wrong": len(wrong), "deaf_legs": 0, "unjudged_legs": 0, "fewest": 0, "most": 0}
        fleet = {
            "mix": mix, "deviation_ms": {"p99": steady["p99"], "p999": steady["p99.9"]}, "packets": {"gaps": int(steady["longest"] > 40)},
        }
        return sample | {
            "system": f"partyline {'SRTP' if run.srtp else 'clear'}", "cpu": 1000 * spent / passed / run.total, "load": spent / passed,
            "right": not wrong, "fleet": fleet, "metrics": {}, "ended": ended, "rejected": record.player["rejected"],
        }

    def _play(self, under_test, run, probes):
        remotes = [f"{host}:{port}" for host, port in under_test.remotes]
        order = {
            "local": run.peer_address, "port": run.peer_port, "probes": probes, "talkers": run.talkers, "codec": run.codec, "payload_type": run.payload_type,
            "rooms": [remotes[room * run.legs : (room + 1) * run.legs] for room in range(run.rooms)],
            "mixed": MIXED.get(under_test.name, 0), "warm_up": WARM_UP, "seconds": run.seconds,
        }
        pipe = subprocess.PIPE
        fleet = subprocess.Popen([self.binaries / "fleet"], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        try:
            fleet.stdin.write(json.dumps(order))
            fleet.stdin.close()
            said = fleet.stderr.readline()
            if "playing" not in said:
                raise RuntimeError(f"the fleet does not play: {said}{fleet.stderr.read()}")
            time.sleep(WARM_UP)
            cpu, clock = under_test.program.cpu(), time.monotonic()
            before = under_test.metrics() if under_test.name == "partyline" else {}
            time.sleep(max(0.0, run.seconds - (time.monotonic() - clock)))
            spent, passed = under_test.program.cpu() - cpu, time.monotonic() - clock
            after = under_test.metrics() if under_test.name == "partyline" else {}
            out = fleet.stdout.read()
            if fleet.wait() != 0:
                raise RuntimeError(f"the fleet has failed: {fleet.stderr.read()}")
        finally:
            fleet.kill()
            fleet.wait()
        report = json.loads(out)
        legs = run.total
        return {
            "cpu": 1000 * spent / passed / legs, "load": spent / passed, "right": counts(report["mix"]), "fleet": report,
            "metrics": {key: after[key] - before.get(key, 0) for key in after},
        }


def counts(mix):
    """Whether a number counts: every leg was heard from and judged, and the mix was right, but for the odd stretch (1 in 50) into
    which a machine that others use has torn a hole."""
    return mix["right"] or (mix["deaf_legs"] == 0 and mix["unjudged_legs"] == 0 and mix["wrong"] <= ODD * mix["windows"])


def rounds(lab, run, systems, count, notes, **options):
    """`count` rounds of all systems, one after another in each, in alternating order. Wrong mixes are left out and noted."""
    samples = []
    for number in range(count):
        taken = {}
        for system in systems if number % 2 == 0 else reversed(systems):
            for _ in range(TRIES):
                sample = lab.measure(system, run, **options)
                if sample["right"]:
                    break
            else:
                mix = sample["fleet"]["mix"]
                wrong = {key: mix[key] for key in ("wrong", "wrong_legs", "unjudged_legs", "deaf_legs", "fewest", "most")}
                first = (mix.get("faults") or [{}])[0].get("why", "")
                notes.append(
                    f"{run}, {system}, round {number + 1}: the mix was not right and the number does not count: {wrong}; {first}; "
                    f"the generator was {sample['fleet']['generator']['lateness_ms']['p99']} ms late at p99"
                )
            taken[system] = sample
        lab.say(f"{run}: round {number + 1} of {count}: " + ", ".join(
            f"{system} {sample['cpu']:.3f}{'' if sample['right'] else ' (mix wrong!)'}" for system, sample in taken.items()))
        samples.append(taken)
    return samples


def values(samples, system, key="cpu"):
    """The counted values of a system over the rounds."""
    return [taken[system][key] for taken in samples if system in taken and taken[system]["right"]]


def median(samples, system, key="cpu"):
    """Their median, or None when none counts."""
    counted = values(samples, system, key)
    return statistics.median(counted) if counted else None


def ratio(samples, system, other, key="cpu"):
    """The median of the rounds' own ratios: what both paid in the same minute."""
    pairs = [
        taken[system][key] / taken[other][key]
        for taken in samples
        if system in taken and other in taken and taken[system]["right"] and taken[other]["right"]
    ]
    return statistics.median(pairs) if pairs else None
