"""Janus AudioBridge, from Debian: the peer that partyline is compared with.

Its participants are plain RTP ones (no WebRTC), made over its Unix-socket API. Nothing of the system's Janus configuration is
read; everything stays on loopback.
"""

import json
import shutil
import socket
import time
from pathlib import Path

from .process import Program, wait_until

# Janus takes an address only if an interface has exactly it.
ADDRESS = "127.0.0.1"
# Its Unix-socket transport sometimes ends its own thread while it starts (a race in Janus), and Janus then gives up.
STARTS = 10
LIBRARY = next(iter(Path("/usr/lib").glob("*/janus")), None)


class Janus:
    """A running Janus with AudioBridge rooms."""

    name = "janus"

    def __init__(self, folder, run):
        """`run` says rooms, legs, codec and the peers' first port (see scenario.Run)."""
        self.run = run
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("config", "transports", "plugins", "none"):
            (self.folder / part).mkdir(parents=True)
        self._configure()
        self.api = self.folder / "api"
        self.socket = None
        for left in reversed(range(STARTS)):
            try:
                self._start()
                self._open()
                return
            except (RuntimeError, OSError):
                self.stop()
                if left == 0:
                    raise
                time.sleep(0.2)
            except BaseException:
                self.stop()
                raise

    @staticmethod
    def version():
        """Debian's version of it, or None when it is not installed."""
        if LIBRARY is None or shutil.which("janus") is None:
            return None
        import subprocess

        shown = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "janus"], capture_output=True, text=True)
        return shown.stdout or "unknown version"

    def _configure(self):
        # Its own folders of plugins and transports, so that it loads nothing that is not measured.
        for part, name in (("transports", "libjanus_pfunix.so"), ("plugins", "libjanus_audiobridge.so")):
            (self.folder / part / name).symlink_to(LIBRARY / part / name)
        config = self.folder / "config"
        (config / "janus.jcfg").write_text(
            f"""general: {{
    configs_folder = "{config}"
    plugins_folder = "{self.folder / "plugins"}"
    transports_folder = "{self.folder / "transports"}"
    events_folder = "{self.folder / "none"}"
    loggers_folder = "{self.folder / "none"}"
    interface = "{ADDRESS}"
    debug_level = 2
    session_timeout = 0
}}
"""
        )
        (config / "janus.transport.pfunix.jcfg").write_text(
            f"""general: {{
    enabled = true
    json = "compact"
    path = "{self.folder / "api"}"
    type = "SOCK_SEQPACKET"
}}
"""
        )
        (config / "janus.plugin.audiobridge.jcfg").write_text(
            f"""general: {{
    events = false
    rtp_port_range = "10000-32000"
    local_ip = "{ADDRESS}"
}}
"""
        )

    def _start(self):
        # Log level 2: errors and fatal ones.
        command = ["janus", "--configs-folder", self.folder / "config", "--debug-level", "2", "--disable-colors"]
        self.program = Program(command, self.folder / "log", cwd=self.folder)
        wait_until("Janus opens its API", self._reached, program=self.program)

    def _reached(self):
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        attempt.settimeout(20)
        try:
            attempt.connect(str(self.api))
        except (FileNotFoundError, ConnectionRefusedError):
            attempt.close()
            return False
        self.socket = attempt
        return True

    def _open(self):
        run = self.run
        self.ticket = 0
        self.session = self._ask({"janus": "create"})["data"]["id"]
        rate = {"pcmu": 8000, "opus16": 16000, "opus48": 48000}[run.codec]
        first = self._attach()
        for room in range(1, run.rooms + 1):
            made = self._message(first, {
                "request": "create", "room": room, "sampling_rate": rate, "allow_rtp_participants": True,
                "audiolevel_ext": False, "record": False, "permanent": False,
            })
            if made.get("audiobridge") != "created":
                raise RuntimeError(f"Janus makes no room: {made}")
        self.remotes = []
        for number in range(run.rooms * run.legs):
            handle = first if number == 0 else self._attach()
            self.remotes.append(self._join(handle, number))

    def _join(self, handle, number):
        run = self.run
        # `codec` belongs to the join, the payload type to its `rtp`; level extension off, as there is nobody who sends one.
        rtp = {"ip": run.peer_address, "port": run.peer_port + number, "payload_type": run.payload_type, "fec": run.fec}
        request = {
            "request": "join", "room": 1 + number // run.legs, "display": f"leg {number}", "rtp": rtp,
            "codec": "pcmu" if run.codec == "pcmu" else "opus",
        }
        if run.codec != "pcmu":
            request |= {"quality": run.complexity, "bitrate": run.bitrate, "expected_loss": run.expected_loss}
        joined = self._message(handle, request, event="joined")
        return joined["rtp"]["ip"], joined["rtp"]["port"]

    def _attach(self):
        asked = {"janus": "attach", "session_id": self.session, "plugin": "janus.plugin.audiobridge"}
        return self._ask(asked)["data"]["id"]

    def _message(self, handle, body, event=None):
        asked = {"janus": "message", "session_id": self.session, "handle_id": handle, "body": body}
        answer = self._ask(asked)
        while event is not None and not (
            answer.get("sender") == handle and (data := _data(answer)).get("audiobridge") in (event, "event")
            and ("error" in data or data.get("audiobridge") == event)
        ):
            answer = self._receive()
        data = _data(answer)
        if "error" in data:
            raise RuntimeError(f"Janus refuses {body['request']}: {data['error']}")
        return data

    def _ask(self, request):
        self.ticket += 1
        ticket = str(self.ticket)
        self.socket.send(json.dumps(request | {"transaction": ticket}).encode())
        while True:
            answer = self._receive()
            if answer.get("janus") == "error":
                raise RuntimeError(f"Janus refuses {request['janus']}: {answer['error']}")
            if answer.get("transaction") == ticket:
                return answer

    def _receive(self):
        return json.loads(self.socket.recv(1 << 20))

    def stop(self):
        """Ends it. Its clean end takes a second per few hundred participants, so it gets little time for one."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        self.program.stop(within=2)
        return {}


def _data(answer):
    return answer.get("plugindata", {}).get("data", {})
