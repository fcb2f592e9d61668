"""report.md and report.json."""

import json

HOW_TO_READ = """## How to read it

The unit is **CPU-ms per leg-second**: user and system time of the bridge's process, all threads, divided by legs and seconds; the
kernel's work for its sends is in it. 1000 divided by it is the legs that a core carries. It holds on a busy machine, where times by the
clock do not; still only *ratios within a round* count, since the same program varies by a quarter from one minute to the next. So in each
round every system is started, measured and ended, one right after the other, in an order that alternates, and the ratio shown is the
median of the rounds' own ratios.

All systems get the same packets from the same generator, in another process: each leg sends all the time, talkers a tone of their own,
the others the noise of an idle line. The same generator listens: every leg must hear the others' tones (of more than five talkers, so many
as partyline mixes; the floor and Janus mix all) and never its own, nor another room's. **A number whose mix was not right is left out**
and noted below: every leg must have been judged, and at most one in fifty of the stretches of sound that were listened to may be wrong
(others' work on the machine tears holes into any bridge); the last column says how many were.

*floor* is the least that can be done: `recvmsg`, sum, encode, send; nothing else (`benches/src/bin/floor.rs`). *janus* is Janus
AudioBridge from Debian with plain RTP participants. *partyline* runs with one media thread; its legs are called over SIP.
"""


def write(bench, quality, machine, plots, seconds, folder):
    """Both files."""
    aims = dict(sorted(bench.aims.items(), key=lambda item: int(item[0][1:])))
    document = aims | {
        "machine": machine, "notes": bench.notes, "seconds": round(seconds), "quick": bench.quick,
        "tables": bench.tables, "series": {key: value for key, value in bench.series.items() if key not in ("deviation", "delay")},
    }
    if quality:
        document["quality"] = quality
    (folder / "report.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "report.md").write_text(page(bench, aims, quality, machine, plots, seconds))


def page(bench, aims, quality, machine, plots, seconds):
    """The report for people."""
    lines = ["# What a leg costs, and how it sounds", ""]
    if bench.quick:
        lines += ["**A quick run: it shows that the measuring works. Its numbers are not to be quoted.**", ""]
    lines += machine_lines(machine, seconds)
    if aims:
        lines += ["## The aims", "", "| | what | reached | aim | met | peer | floor |", "|---|---|---|---|---|---|---|"]
        for name, aim in aims.items():
            cells = [name, aim["what"], f"{said(aim['value'])} {aim['unit']}", aim["aim"], "yes" if aim["met"] else "**no**", said(aim["peer"]), said(aim["floor"])]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    if bench.notes:
        lines += ["## What did not count, or could not be measured", ""] + [f"- {note}" for note in bench.notes] + [""]
    if quality:
        lines += quality_lines(quality)
    for name, caption in plots:
        lines += [f"![{caption}]({name})", "", f"*{caption}*", ""]
    if bench.tables:
        lines += [HOW_TO_READ, "## Every run", ""]
        for aim, rows in bench.tables.items():
            lines += [f"### {aim}", "", "| run | system | CPU-ms per leg-second | rounds | KiB per leg | threads | deviation p99 / p99.9 ms | gaps | mix wrong |", "|---|---|---|---|---|---|---|---|---|"]
            for row in rows:
                shown = "did not count" if row["cpu"] is None else f"{row['cpu']:.3f}"
                each = ", ".join(f"{value:.3f}" for value in row["rounds"])
                deviation = row["deviation"]
                lines.append(
                    f"| {row['run']} | {row['system']} | {shown} | {each} | {row['rss_per_leg_kib']:.0f} | {row['threads']} "
                    f"| {deviation['p99']:.1f} / {deviation['p999']:.1f} | {row['gaps']} | {row['wrong']} of {row['windows']} |"
                )
            lines.append("")
    return "\n".join(lines)


def machine_lines(machine, seconds):
    """What it ran on, and how quiet that was."""
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}; Linux {machine['kernel']}. "
        f"{machine['when']}, {seconds / 60:.0f} minutes. Janus {machine['janus'] or 'not installed'}; partyline {machine['partyline']}.", "",
        f"Noise: other processes used {machine['others']:.2f} of {machine['cores']} cores on average, the hypervisor took "
        f"{100 * machine['steal']:.1f} % away, and the load average went from {machine['load_before']:.1f} to {machine['load_after']:.1f} "
        "(the measuring itself is in it). "
        + ("On a machine this busy only ratios within a round mean something; regularity and delay do not." if machine["others"] > 0.3 else
           "That is quiet enough for times by the clock too."), "",
    ]
    return lines


def quality_lines(quality):
    """The tables of the judges."""
    lines = ["## How speech sounds", ""]
    lines += ["| | reached | aim | met |", "|---|---|---|---|"]
    lines += [f"| {one['what']} | {one['value']} | {one['aim']} | {'yes' if one['met'] else '**no**'} |" for one in quality["aims"]]
    lines += ["", "| codec alone | talkers | PESQ once / twice | ViSQOL once / twice |", "|---|---|---|---|"]
    for one in quality["alone"]:
        lines.append(f"| {one['codec']} | {one['talkers']} | {one['pesq_once']:.2f} / {one['pesq_twice']:.2f} | {one['visqol_once']:.2f} / {one['visqol_twice']:.2f} |")
    lines += ["", "| codec | talkers | loss % | jitter ms | PESQ (drop) | ViSQOL (drop) | delay ms |", "|---|---|---|---|---|---|---|"]
    for row in quality["rows"]:
        lines.append(
            f"| {row['codec']} | {row['talkers']} | {row['loss']:g} | {row['jitter']:g} | {row['pesq']:.2f} ({row['pesq_drop']:+.2f}) "
            f"| {row['visqol']:.2f} ({row['visqol_drop']:+.2f}) | {row['delay_ms']:.0f} |"
        )
    lines += ["", quality["how"], ""]
    return lines


def said(found):
    """A value as text in a table's cell."""
    if found is None:
        return ""
    if isinstance(found, dict):
        return "; ".join(f"{str(key).replace('_', ' ')} {said(value)}" for key, value in found.items() if value is not None)
    if isinstance(found, list):
        return " / ".join("-" if value is None else said(value) for value in found)
    return f"{found:g}" if isinstance(found, float) else str(found)
