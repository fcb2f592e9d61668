"""The pictures of the report."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLORS = {"floor": "#888888", "floor-unconnected": "#bbbbbb", "partyline": "#1f6fb4", "janus": "#d1702e"}


def draw(bench, quality, folder):
    """Draws what there is data for; returns (file name, caption) in order."""
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
    made = []
    for name, caption, painter in (
        ("cost.png", "CPU time per leg; each dot is a round, each bar their median. Lower is better.", lambda path: cost(bench, path)),
        ("growth.png", "CPU time per leg over the number of legs, in rooms of ten and in one room.", lambda path: growth(bench, path)),
        ("regularity.png", "How far apart from 20 ms packets left at 70 % load.", lambda path: spread(bench.series.get("deviation"), "deviation from 20 ms [ms]", path)),
        ("delay.png", "Delay of an impulse through each system.", lambda path: spread(bench.series.get("delay"), "delay [ms]", path)),
        ("quality.png", "Mean opinion score over loss, one talker; dashed: the codec alone.", lambda path: opinion(quality, path)),
    ):
        if painter(folder / name):
            made.append((name, caption))
    return made


def cost(bench, path):
    """Bars by situation and system."""
    rows = [row for aim in ("P1", "P2", "P3", "P4") for row in bench.tables.get(aim, []) if row["cpu"] is not None]
    if not rows:
        return False
    runs = list(dict.fromkeys(row["run"] for row in rows))
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.75 * len(runs)))
    for row in rows:
        order = list(dict.fromkeys(one["system"] for one in rows if one["run"] == row["run"]))
        place = runs.index(row["run"]) + 0.8 * (order.index(row["system"]) + 0.5) / len(order) - 0.4
        color = COLORS.get(row["system"], "#5a9e5a")
        axes.barh(place, row["cpu"], height=0.75 / len(order), color=color, label=row["system"])
        axes.plot(row["rounds"], [place] * len(row["rounds"]), ".", color="black", markersize=4)
        axes.annotate(f"{row['cpu']:.2f}", (max(row["rounds"]), place), xytext=(4, -3), textcoords="offset points", fontsize=8)
    axes.set_yticks(range(len(runs)), runs)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("CPU-ms per leg-second")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    axes.legend(handles.values(), handles.keys(), fontsize=8)
    return save(figure, path)


def growth(bench, path):
    """Lines over the number of legs."""
    growth = bench.series.get("growth")
    if not growth or not growth["partyline"]:
        return False
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for system, points in growth.items():
        points = {legs: cpu for legs, cpu in points.items() if cpu is not None}
        axes.plot(list(points), list(points.values()), "o-", color=COLORS[system], label=f"{system}, rooms of ten")
    alone = bench.series.get("one room")
    if alone:
        axes.plot(list(alone), list(alone.values()), "s--", color=COLORS["partyline"], label="partyline, one room")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("legs")
    axes.set_ylabel("CPU-ms per leg-second")
    axes.legend(fontsize=8)
    return save(figure, path)


def spread(histograms, label, path):
    """The share of packets above a value, by system: the tail is what is heard."""
    if not histograms:
        return False
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for system, bars in histograms.items():
        total = sum(count for _, count in bars) or 1
        left, edges, shares = total, [], []
        for edge, count in bars:
            edges.append(edge)
            shares.append(left / total)
            left -= count
        axes.step(edges, shares, where="post", color=COLORS.get(system), label=system)
    axes.set_yscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("share above")
    axes.legend(fontsize=8)
    return save(figure, path)


def opinion(quality, path):
    """Both judges' scores over loss, by codec."""
    if not quality:
        return False
    codecs = list(dict.fromkeys(row["codec"] for row in quality["rows"]))
    figure, all_axes = plt.subplots(1, len(codecs), figsize=(3.4 * len(codecs) + 1, 3.2), sharey=True, squeeze=False)
    for axes, codec in zip(all_axes[0], codecs):
        rows = [row for row in quality["rows"] if row["codec"] == codec and row["talkers"] == 1 and row["jitter"] == 0]
        own = next(one for one in quality["alone"] if one["codec"] == codec and one["talkers"] == 1)
        for judge, color in (("pesq", "#1f6fb4"), ("visqol", "#d1702e")):
            axes.plot([row["loss"] for row in rows], [row[judge] for row in rows], "o-", color=color, label=judge)
            axes.axhline(own[f"{judge}_twice"], color=color, linestyle="--", linewidth=0.8)
        axes.set_title(codec)
        axes.set_xlabel("loss [%]")
        axes.set_ylim(1, 5)
    all_axes[0][0].set_ylabel("MOS-LQO")
    all_axes[0][0].legend(fontsize=8)
    return save(figure, path)


def save(figure, path):
    """Writes and forgets it."""
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
    return True
