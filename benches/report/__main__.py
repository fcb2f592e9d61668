"""./x bench and ./x quality: measures, and writes report.md, report.json and the pictures.

Exit 0: everything was measured (whether an aim is met is in the report). Exit 1: something could not be measured; the report says
what.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import page, plots, scenarios
from .janus import Janus
from .machine import Machine
from .measure import Lab
from .process import nice_limit_files

PARTS = ["P1", "P2", "P3", "P4", "P5", "P6", "P10", "quality"]


def main():
    """Parses, measures, writes."""
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test of about three minutes; its numbers mean nothing")
    parser.add_argument("--only", help=f"some parts, separated by commas: {','.join(PARTS)} (P9 comes with P10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is repeated (default 3)")
    parser.add_argument("--binaries", type=Path, required=True, help="where partyline, floor, player and fleet are")
    parser.add_argument("--out", type=Path, required=True, help="the report's folder")
    options = parser.parse_args()
    parts = options.only.split(",") if options.only else PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    options.binaries, options.out = options.binaries.resolve(), options.out.resolve()
    nice_limit_files()
    # Whoever ends us ends what we have started: an exception runs all the ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - began:5.0f} s] {text}", flush=True)

    machine = Machine()
    lab = Lab(options.out / "work", options.binaries, say)
    janus = Janus.version() is not None
    bench = scenarios.Bench(lab, options.quick, options.rounds, janus)
    if not janus and set(parts) & {"P1", "P3", "P6"}:
        bench.notes.append("Janus is not installed (Debian's package janus): nothing is compared with it")
    failed = not janus
    quality = None
    for part in parts:
        say(f"{part} ...")
        try:
            if part == "quality":
                from . import quality as judged

                quality = judged.measure(lab.folder, options.binaries, say, bench.notes, options.quick)
            else:
                scenarios.PARTS[part](bench)
        except (RuntimeError, OSError, KeyError, ValueError) as error:
            bench.notes.append(f"{part} could not be measured: {error}")
            say(f"{part}: {error}")
    machine = machine.told(version(options.binaries))
    pictures = plots.draw(bench, quality, options.out)
    page.write(bench, quality, machine, pictures, time.monotonic() - began, options.out)
    for name, aim in sorted(bench.aims.items(), key=lambda item: int(item[0][1:])):
        say(f"{name}: {'met' if aim['met'] else 'NOT met'}: {json.dumps(aim['value'])} {aim['unit']}; aim {aim['aim']}")
    for one in quality["aims"] if quality else []:
        say(f"quality: {'met' if one['met'] else 'NOT met'}: {one['what']}: {one['value']}; aim {one['aim']}")
    for note in bench.notes:
        say(f"note: {note}")
    say(f"written: {options.out / 'report.md'}, {options.out / 'report.json'}")
    return 1 if failed or any("could not be measured" in note for note in bench.notes) else 0


def version(binaries):
    """What is measured."""
    shown = subprocess.run([binaries / "partyline", "--version"], capture_output=True, text=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return " ".join((shown.stdout.split() or ["", "?"])[-1:] + ["at"] + (commit.stdout.split() or ["?"]))


if __name__ == "__main__":
    sys.exit(main())
