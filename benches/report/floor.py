"""The floor program as a system under measurement."""

import json
import subprocess
from pathlib import Path

from .process import Program, wait_until

ADDRESS = "127.0.6.1"
PORT = 10000


class Floor:
    """A running floor program; see benches/src/bin/floor.rs."""

    name = "floor"

    def __init__(self, folder, run, binary, unconnected=False):
        self.run = run
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        realtime = ["chrt", "--fifo", run.realtime] if run.realtime else []
        words = [
            *realtime, binary, "--rooms", run.rooms, "--legs", run.legs, "--address", ADDRESS, "--port", PORT,
            "--peer-address", run.peer_address, "--peer-port", run.peer_port,
        ]
        if unconnected:
            words.append("--unconnected")
        log = folder / ("floor-unconnected.log" if unconnected else "floor.log")
        log.unlink(missing_ok=True)
        self.program = Program(words, log, stdin=subprocess.PIPE)
        wait_until("the floor is ready", lambda: "ready" in log.read_text(), program=self.program)
        self.remotes = [(ADDRESS, PORT + number) for number in range(run.rooms * run.legs)]

    def stop(self):
        """Ends it; returns how late its ticks were."""
        self.program.child.stdin.close()
        try:
            self.program.child.wait(5)
            return json.loads(self.program.log.read_text().splitlines()[-1])
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            self.program.stop()
            return {}
