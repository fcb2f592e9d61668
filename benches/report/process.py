"""A program under measurement: started here, measured through /proc, ended by its process ID."""

import os
import signal
import subprocess
import time
from pathlib import Path


class Program:
    """A child process and what the kernel says about it."""

    def __init__(self, command, log, **options):
        self.log = Path(log)
        with open(self.log, "ab") as out:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", out)
            self.child = subprocess.Popen([str(word) for word in command], stderr=out, **options)
        self.pid = self.child.pid

    def cpu(self):
        """CPU seconds of all its threads so far, to the nanosecond: user and system, interrupts' work for its sends included."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread that has just ended
        return total / 1e9

    def status(self, key):
        """A number of /proc/PID/status: kB for memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise KeyError(key)

    def rss_kib(self):
        """Resident memory in KiB."""
        return self.status("VmRSS")

    def threads(self):
        """How many threads it has."""
        return self.status("Threads")

    def alive(self):
        """Whether it still runs."""
        return self.child.poll() is None

    def stop(self, within=10):
        """SIGTERM, then SIGKILL after `within` seconds. Returns the exit code."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(within)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()

    def tail(self, lines=15):
        """The end of its log, for messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(what, condition, within=20.0, program=None):
    """Waits for `condition` to be true; says what was waited for when it never is."""
    end = time.monotonic() + within
    while not condition():
        if program is not None and not program.alive():
            raise RuntimeError(f"{what}: the program has ended with {program.child.returncode}:\n{program.tail()}")
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within:.0f} s" + (f"\n{program.tail()}" if program else ""))
        time.sleep(0.02)


def nice_limit_files(wanted=65536):
    """Raises the soft limit of open files as far as it goes; children inherit it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= best:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
    return best


def cpu_model():
    """The processor as it calls itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine
