"""What it runs on, and how busy that is with other things."""

import os
import platform
import time
from pathlib import Path

from .janus import Janus
from .process import cpu_model


class Machine:
    """Taken at the beginning; `told` at the end."""

    def __init__(self):
        self.ticks = ticks()
        self.own = self.own_ticks()
        self.load = os.getloadavg()[0]

    @staticmethod
    def own_ticks():
        """Ticks of this process and of all its children that have ended: everything that belongs to the measuring."""
        times = os.times()
        return (times.user + times.system + times.children_user + times.children_system) * os.sysconf("SC_CLK_TCK")

    def told(self, partyline):
        """As an object of the report."""
        now = ticks()
        passed = {key: now[key] - self.ticks[key] for key in now}
        total = sum(passed.values())
        cores = os.cpu_count()
        busy = total - passed["idle"] - passed["iowait"] - passed["steal"]
        others = max(0.0, busy - (self.own_ticks() - self.own)) / total * cores
        pretty = next((line.split("=", 1)[1].strip('"') for line in Path("/etc/os-release").read_text().splitlines() if line.startswith("PRETTY_NAME=")), "")
        return {
            "cpu": cpu_model(), "cores": cores, "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
            "system": pretty, "kernel": platform.release(), "when": time.strftime("%Y-%m-%d %H:%M"), "janus": Janus.version(),
            "partyline": partyline, "others": round(others, 2), "steal": round(passed["steal"] / total, 4),
            "load_before": self.load, "load_after": os.getloadavg()[0],
        }


def ticks():
    """The machine's CPU time by use."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return dict(zip(names, map(int, fields)))
