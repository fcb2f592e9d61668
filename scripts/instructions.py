"""Compares counted instructions with the committed baseline; see instructions.sh."""

import json
import sys
from pathlib import Path

ALLOWED = 1.05


def main(folder, baseline, compiler, *words):
    """Exit code 1 when a count has grown by more than 5 %, or is new or gone without --bless."""
    counts = dict(sorted(read(folder)))
    if not counts:
        print("no counts: did cargo bench run?", file=sys.stderr)
        return 1
    path = Path(baseline)
    if "--bless" in words:
        path.write_text(json.dumps({"compiler": compiler, "instructions": counts}, indent=1) + "\n")
        print(f"{len(counts)} counts written to {path}")
        return 0
    known = json.loads(path.read_text())
    if known["compiler"] != compiler:
        print(f"The baseline is of {known['compiler']}, this is {compiler}: differences may be the compiler's.")
    before = known["instructions"]
    failed = sorted(set(before) ^ set(counts))
    print(f"{'instructions':>12} {'change':>8}  what")
    for name, count in counts.items():
        change = count / before[name] if name in before else 1.0
        grown = change > ALLOWED
        failed += [name] if grown else []
        print(f"{count:12,} {100 * (change - 1):+7.1f}%  {name}{'   <-- grown' if grown else ''}")
    for name in failed:
        why = "is not in the baseline" if name not in before else "is gone" if name not in counts else "has grown by more than 5 %"
        print(f"{name} {why}: mend it, or --bless and commit benches/instructions.json", file=sys.stderr)
    return 1 if failed else 0


def read(folder):
    """(name, instructions) of every bench in the folder of summaries."""
    for path in Path(folder).rglob("summary.json"):
        summary = json.loads(path.read_text())
        name = "/".join([summary["function_name"]] + ([summary["id"]] if summary.get("id") else []))
        yield name, instructions(summary)


def instructions(summary):
    """Callgrind's Ir of this run."""
    for profile in summary["profiles"]:
        for part in profile["data"]["parts"]:
            if "Ir" in part["metrics"]:
                return part["metrics"]["Ir"]["values"]["new"]
    raise KeyError(f"{summary['function_name']} has no instructions")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
