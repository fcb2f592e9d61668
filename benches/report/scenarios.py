"""What ./x bench measures: one function an aim. Each returns its object of report.json, and what its tables and plots need."""

import dataclasses
import statistics
import subprocess

from .measure import median, ratio, rounds, values
from .run import Run

ALL_THREE = ["floor", "partyline", "janus"]
LEGS_PER_ROOM = 10
# The shares of a core that P5 asks for.
LOADED = 0.7
# The priority that docs/operations.md recommends; the floor runs under the same.
REALTIME = 10


class Bench:
    """The state of one run: samples by aim, notes on what went wrong, and the aims."""

    def __init__(self, lab, quick, rounds, janus):
        self.lab, self.quick, self.janus = lab, quick, janus
        self.notes, self.tables, self.aims, self.series = [], {}, {}, {}
        self.rounds = 1 if quick else max(1, rounds)
        self.seconds = 3.0 if quick else 6.0

    def systems(self, wanted):
        """Without Janus where there is none."""
        return [system for system in wanted if system != "janus" or self.janus]

    def compare(self, aim, run, systems, count=None, **options):
        """Rounds of a run, kept for the aim's table."""
        samples = rounds(self.lab, run, self.systems(systems), count or self.rounds, self.notes, **options)
        for system in self.systems(systems):
            row = {
                "run": str(run), "system": system, "cpu": median(samples, system), "rounds": values(samples, system),
                "threads": samples[-1][system]["threads"], "rss_per_leg_kib": samples[-1][system]["rss_kib"] / run.total,
                "deviation": samples[-1][system]["fleet"]["deviation_ms"], "gaps": samples[-1][system]["fleet"]["packets"]["gaps"],
                "windows": sum(taken[system]["fleet"]["mix"]["windows"] for taken in samples),
                "wrong": sum(taken[system]["fleet"]["mix"]["wrong"] for taken in samples),
            }
            self.tables.setdefault(aim, []).append(row)
        return samples


def p1(bench):
    """PCMU, everyone talks."""
    shapes = [(20, 10)] if bench.quick else [(100, 3), (20, 10), (1, 300)]
    to_floor, to_janus, cost, floor, janus = [], [], [], [], []
    for rooms, legs in shapes:
        samples = bench.compare("P1", Run(rooms, legs, seconds=bench.seconds), ALL_THREE)
        for found, value in (
            (to_floor, ratio(samples, "partyline", "floor")), (to_janus, ratio(samples, "janus", "partyline")),
            (cost, median(samples, "partyline")), (floor, median(samples, "floor")), (janus, median(samples, "janus")),
        ):
            found.append(value)
    if not bench.quick:
        bench.compare("P1", Run(100, 3, seconds=bench.seconds), ["floor-unconnected"], count=1)
    names = [f"{rooms} x {legs}" for rooms, legs in shapes]
    bench.aims["P1"] = {
        "what": f"PCMU, all talking, {', '.join(names)}: CPU per leg",
        "value": rounded(cost), "unit": "CPU-ms per leg-second, by shape",
        "aim": "<= 1.5 x the floor and <= 1/6 of Janus in the same rounds",
        "met": all_of(to_floor, lambda x: x <= 1.5) and all_of(to_janus, lambda x: x >= 6),
        "peer": {"janus": rounded(janus), "janus_to_partyline": rounded(to_janus, 2)},
        "floor": {"cpu": rounded(floor), "partyline_to_floor": rounded(to_floor, 2)},
    }


def p2(bench):
    """PCMU, a fifth talks."""
    shapes = [300] if bench.quick else [300, 1000]
    to_floor, cost, floor = [], [], []
    for legs in shapes:
        samples = bench.compare("P2", Run(1, legs, talkers=legs // 5, seconds=bench.seconds), ["floor", "partyline"])
        to_floor.append(ratio(samples, "partyline", "floor"))
        cost.append(median(samples, "partyline"))
        floor.append(median(samples, "floor"))
    bench.aims["P2"] = {
        "what": f"PCMU, 20 % talking, 1 x {', 1 x '.join(map(str, shapes))}: CPU per leg",
        "value": rounded(cost), "unit": "CPU-ms per leg-second, by shape", "aim": "<= 1.35 x the floor",
        "met": all_of(to_floor, lambda x: x <= 1.35), "peer": None,
        "floor": {"cpu": rounded(floor), "partyline_to_floor": rounded(to_floor, 2)},
    }


def p3(bench):
    """Opus at 16 kHz, both sides with the same complexity, bitrate and FEC."""
    seconds = bench.seconds
    runs = [(Run(1, 100, "opus16", talkers=3, seconds=seconds, payload_type=111), 15.0), (Run(50, 3, "opus16", seconds=seconds, payload_type=111), 1.5)]
    cost, janus, ratios = [], [], []
    for run, _ in runs[:1] if bench.quick else runs:
        samples = bench.compare("P3", run, ["partyline", "janus"])
        cost.append(median(samples, "partyline"))
        janus.append(median(samples, "janus"))
        ratios.append(ratio(samples, "janus", "partyline"))
    run = runs[0][0]
    bench.aims["P3"] = {
        "what": f"Opus 16 kHz (complexity {run.complexity}, {run.bitrate} bit/s, FEC for {run.expected_loss} %): 1 x 100 with three talkers; 50 x 3 all talking",
        "value": rounded(cost), "unit": "CPU-ms per leg-second, by shape", "aim": "<= 1/15 and <= 1/1.5 of Janus in the same rounds",
        "met": all(found is not None and found >= wanted for found, (_, wanted) in zip(ratios, runs)) if ratios else False,
        "peer": {"janus": rounded(janus), "janus_to_partyline": rounded(ratios, 2)}, "floor": None,
    }


def p4(bench):
    """SRTP both ways against the same load in the clear; both by the player, which can do both."""
    clear = Run(20, 10, seconds=bench.seconds)
    suites = ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"]
    ratios, costs = {}, {}
    for suite in suites[:1] if bench.quick else suites:
        keyed = dataclasses.replace(clear, srtp=suite)
        pairs = []
        for number in range(bench.rounds):
            taken = {run.srtp: bench.lab.measure_keyed(run) for run in ((clear, keyed) if number % 2 == 0 else (keyed, clear))}
            bench.lab.say(f"P4 {suite}: " + ", ".join(f"{key or 'clear'} {one['cpu']:.3f}{'' if one['right'] else ' (mix wrong!)'}" for key, one in taken.items()))
            if all(one["right"] for one in taken.values()):
                pairs.append(taken)
            else:
                bench.notes.append(f"P4, {suite}, round {number + 1}: the mix was not right and the round does not count")
        if not pairs:
            continue
        ratios[suite] = statistics.median(one[suite]["cpu"] / one[None]["cpu"] for one in pairs)
        for key in (None, suite):
            each = [one[key]["cpu"] for one in pairs]
            costs[key or "clear"] = statistics.median(each)
            last = pairs[-1][key]
            bench.tables.setdefault("P4", []).append({
                "run": str(clear) + (f", beside {suite}" if key is None else ""), "system": f"partyline {key or 'clear'}", "cpu": statistics.median(each), "rounds": each,
                "threads": last["threads"], "rss_per_leg_kib": last["rss_kib"] / clear.total,
                "deviation": last["fleet"]["deviation_ms"], "gaps": last["fleet"]["packets"]["gaps"],
                "windows": sum(one[key]["fleet"]["mix"]["windows"] for one in pairs), "wrong": sum(one[key]["fleet"]["mix"]["wrong"] for one in pairs),
            })
    bench.aims["P4"] = {
        "what": "SRTP both ways, PCMU 20 x 10 all talking, against the same in the clear", "value": {"ratio": rounded(ratios, 2), "cpu": rounded(costs)},
        "unit": "CPU-ms per leg-second, and their ratio", "aim": "<= 1.4 x the clear load",
        "met": bool(ratios) and all(one <= 1.4 for one in ratios.values()), "peer": None, "floor": None,
    }


def p5(bench):
    """Regularity at 70 % load, from what a leg was found to cost in P1."""
    cost = next((row["cpu"] for row in bench.tables.get("P1", []) if row["system"] == "partyline" and row["cpu"]), None)
    cost = cost or bench.lab.measure("partyline", Run(20, LEGS_PER_ROOM, seconds=3))["cpu"]
    rooms = max(2, int(LOADED * 1000 / cost / LEGS_PER_ROOM)) if not bench.quick else 20
    wanted = rooms * LEGS_PER_ROOM
    rooms = min(rooms, 300)  # what generator and bridge carry on two cores
    realtime = REALTIME if may_be_realtime() else 0
    if not realtime:
        bench.notes.append("P5: SCHED_FIFO is refused here (root or CAP_SYS_NICE allows it), so this is how regular it is without")
    run = Run(rooms, LEGS_PER_ROOM, seconds=5 if bench.quick else 20, realtime=realtime)
    samples = bench.compare("P5", run, ["floor", "partyline"], count=1 if bench.quick else 2)
    found = {}
    for system in ("partyline", "floor"):
        taken = [one[system] for one in samples if one[system]["right"]]
        if not taken:
            continue
        # The quieter round: the machine is shared, and a disturbance is not the bridge's.
        best = min(taken, key=lambda one: one["fleet"]["deviation_ms"]["p99"])
        found[system] = {
            "load": round(best["load"], 3), "deviation_p99_ms": best["fleet"]["deviation_ms"]["p99"],
            "deviation_p999_ms": best["fleet"]["deviation_ms"]["p999"], "gaps": best["fleet"]["packets"]["gaps"],
            "tick_late_p999_ms": late(best), "generator_late_p99_ms": best["fleet"]["generator"]["lateness_ms"]["p99"],
            "histogram": best["fleet"]["histograms"]["deviation"],
        }
    mine = found.get("partyline")
    bench.series["deviation"] = {system: one.pop("histogram") for system, one in found.items()}
    bench.aims["P5"] = {
        "what": f"regularity, {run.total} PCMU legs in rooms of {LEGS_PER_ROOM} on one thread{', SCHED_FIFO as in production' if realtime else ''} (70 % of a core would be {wanted})",
        "value": mine, "unit": "ms; load as a share of one core", "aim": "tick lateness p99.9 <= 2 ms, deviation of departures from 20 ms p99 <= 2 ms, no gap > 40 ms",
        "met": mine is not None and mine["tick_late_p999_ms"] is not None and mine["tick_late_p999_ms"] <= 2
        and mine["deviation_p99_ms"] <= 2 and mine["gaps"] == 0,
        "peer": None, "floor": found.get("floor"),
    }


def may_be_realtime():
    """Whether we may run programs under SCHED_FIFO."""
    return subprocess.run(["chrt", "--fifo", str(REALTIME), "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def late(sample):
    """How late the ticks of a sample were at p99.9, in ms: partyline's own histogram (upper edge), or what the floor told."""
    if sample["system"] != "partyline":
        at = sample["ended"].get("late_us", {}).get("p99.9")
        return None if at is None else at / 1000
    buckets = {}
    for series, count in sample["metrics"].items():
        if series.startswith("partyline_mixer_wake_late_seconds_bucket"):
            edge = float(series.split('le="')[1].split('"')[0].replace("+Inf", "inf"))
            buckets[edge] = buckets.get(edge, 0) + count
    if not buckets:
        return None
    total = buckets.get(float("inf"), max(buckets.values()))
    return next((edge * 1000 for edge in sorted(buckets) if buckets[edge] >= 0.999 * total), None)


def p6(bench):
    """Delay of an impulse: rooms of three in which nobody talks and one leg sends bursts."""
    rooms = 4 if bench.quick else 20
    run = Run(rooms, 3, seconds=4 if bench.quick else 20)
    samples = bench.compare("P6", run, ALL_THREE, count=1, probes=rooms)
    delays = {system: sample["fleet"]["delay_ms"] for system, sample in samples[0].items()}
    for system, sample in samples[0].items():
        if sample["fleet"]["impulses_missed"]:
            bench.notes.append(f"P6, {system}: {sample['fleet']['impulses_missed']} impulses did not come out")
    bench.series["delay"] = {system: sample["fleet"]["histograms"]["delay"] for system, sample in samples[0].items()}
    mine = delays["partyline"]
    bench.aims["P6"] = {
        "what": "delay through the bridge, an impulse in to the impulse out, PCMU without jitter",
        "value": {"p50": mine["p50"], "p99": mine["p99"], "impulses": mine["count"]}, "unit": "ms", "aim": "<= 40 typical, <= 60 at p99",
        "met": mine["count"] > 0 and mine["p50"] <= 40 and mine["p99"] <= 60,
        "peer": {"janus": delays.get("janus")}, "floor": delays["floor"],
    }


def p9_and_p10(bench):
    """Memory, and how cost grows, from 30 to 3000 legs in rooms of ten; and in one room."""
    sizes = [30, 100] if bench.quick else [30, 100, 300, 1000, 3000]
    by_size, floors, memory, dropped = {}, {}, {}, []
    for legs in sizes:
        # A bridge keeps the messages of its last calls, however many legs it has: at every size as many, so that they do not pass for
        # a cost of legs.
        run = Run(legs // LEGS_PER_ROOM, LEGS_PER_ROOM, seconds=bench.seconds, kept=sizes[0])
        samples = bench.compare("P10", run, ["floor", "partyline"], count=1 if bench.quick else 2)
        mine = median(samples, "partyline")
        if mine is None:
            dropped.append(legs)
            continue
        by_size[legs], floors[legs] = mine, median(samples, "floor")
        memory[legs] = statistics.median(values(samples, "partyline", "rss_kib"))
    bench.series["growth"] = {"partyline": by_size, "floor": floors}
    bench.series["memory"] = memory
    if dropped:
        bench.notes.append(f"P10: {dropped} legs are more than generator and bridge carry together on this machine")
    low, high = ((30, 100) if bench.quick else (100, 1000))
    per_leg = (memory[high] - memory[low]) / (high - low) if low in memory and high in memory else None
    bench.aims["P9"] = {
        "what": f"resident memory per PCMU leg: (RSS at {high} legs - RSS at {low}) / {high - low}",
        "value": None if per_leg is None else round(per_leg, 1), "unit": "KiB per leg", "aim": "<= 24",
        "met": per_leg is not None and per_leg <= 24, "peer": memory_of_the_peer(bench), "floor": None,
    }
    rooms = {}
    if not bench.quick:
        for legs in (30, 100, 300, 1000):
            samples = bench.compare("P10", Run(1, legs, seconds=bench.seconds), ["partyline"], count=1)
            if median(samples, "partyline") is not None:
                rooms[legs] = median(samples, "partyline")
        bench.series["one room"] = rooms
    # From 300 legs on, so that the fixed cost of a tick does not pass for a cost of legs.
    spread = max(by_size.values()) / min(by_size.values()) - 1 if by_size else None
    bench.aims["P10"] = {
        "what": f"CPU per leg from {sizes[0]} to {max(by_size, default=0)} PCMU legs in rooms of {LEGS_PER_ROOM}; and of one room of 30 to 1000",
        "value": {"per_leg": rounded(by_size), "spread": None if spread is None else round(spread, 3), "one_room": rounded(rooms)},
        "unit": "CPU-ms per leg-second", "aim": "flat within 10 % at a fixed room size; one room's cost linear in its legs",
        "met": spread is not None and spread <= 0.10 and not dropped, "peer": None, "floor": rounded(floors),
    }


def memory_of_the_peer(bench):
    """Janus' memory per leg as P1 saw it, where there was one."""
    rows = [row for row in bench.tables.get("P1", []) if row["system"] == "janus"]
    return {"janus_rss_per_leg_kib": round(rows[0]["rss_per_leg_kib"], 1)} if rows else None


def rounded(found, digits=4):
    """Numbers for people."""
    if isinstance(found, dict):
        return {key: rounded(value, digits) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value, digits) for value in found]
    return None if found is None else round(found, digits)


def all_of(found, condition):
    """True when there are values, all were measured, and all are as they should be."""
    return bool(found) and all(value is not None and condition(value) for value in found)


PARTS = {"P1": p1, "P2": p2, "P3": p3, "P4": p4, "P5": p5, "P6": p6, "P10": p9_and_p10}
