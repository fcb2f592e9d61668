"""partyline itself: the release binary with a configuration of its own, and an operator's exchange that answers its calls.

The legs are dialed out over the API, so that each is seated in its conference without a keypad: real SIP, real SDP, and the RTP
comes from the same player as for the others.
"""

import base64
import http.client
import json
import random
import re
import shutil
import socket
import threading
import time
from pathlib import Path

from .process import Program, wait_until

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "127.0.3.1"
EXCHANGE = ("127.0.5.1", 5060)
TOKEN = "measure-measure-measure"
NUMBER = "+496990009100"
# How long a bridge that says it is busy is asked again.
BUSY_SECONDS = 30
# Payload type of telephone-event in our offers.
EVENTS = 101
# Calls that may be on their way at once; the bridge refuses more than 20 dial-outs of a conference.
AT_ONCE = 12

# What the exchange answers with: payload type, rtpmap, fmtp.
ANSWERS = {
    "pcmu": (0, "PCMU/8000", None),
    "pcma": (8, "PCMA/8000", None),
    "g722": (9, "G722/8000", None),
    "opus16": (None, "opus/48000/2", "maxplaybackrate=16000;sprop-maxcapturerate=16000"),
    "opus48": (None, "opus/48000/2", None),
}


class Partyline:
    """A running bridge with conferences of legs."""

    name = "partyline"

    def __init__(self, folder, run, binary):
        self.run = run
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.meetings = [str(200_000_000 + room) for room in range(run.rooms)]
        (self.folder / "token").write_text(TOKEN + "\n")
        (self.folder / "partyline.toml").write_text(self._configuration())
        self.program = Program([binary.resolve(), "serve", "--config", "partyline.toml"], self.folder / "log", cwd=self.folder)
        self.exchange = Exchange(run)
        try:
            wait_until("partyline is ready", self._ready, program=self.program)
            self.remotes = self._be_called() if run.dial_in else self._dial()
        except BaseException:
            self.stop()
            raise

    def _configuration(self):
        run = self.run
        codec = {"opus16": "opus", "opus48": "opus"}.get(run.codec, run.codec)
        meetings = "\n".join(
            f'[[meeting]]\nconference_id = "{meeting}"\norganizer = "greta"\ncapacity = {min(1000, run.legs + 5)}'
            for meeting in self.meetings
        )
        opus = ""
        if codec == "opus":
            rate = {"opus16": 16000, "opus48": 48000}[run.codec]
            fec = str(run.fec).lower()
            opus = f"opus = {{ bitrate = {run.bitrate}, complexity = {run.complexity}, fec = {fec}, max_rate = {rate} }}"
        return f"""
global_policy = "everywhere"
[node]
name = "measured"
[log]
filter = "warn"
[sip]
listen = ["udp://{ADDRESS}:5060"]
[media]
address = "{ADDRESS}"
ports = "10000-{10001 + 2 * run.total + 200}"
prompts = "{ROOT / "config/prompts/en-US"}"
seats_per_conference = {min(1000, run.legs + 5)}
shards = {run.shards}
realtime_priority = {run.realtime}
silence_timeout_seconds = 3600
[http]
listen = "{ADDRESS}:8080"
token_file = "token"
[usage]
spool = "usage"
{f"[trace]{chr(10)}calls = {run.kept}{chr(10)}decisions = {run.kept}" if run.kept else ""}
[[trunk]]
id = "acme"
kind = "operator"
provider = "operator:acme"
peers = [{{ address = "{EXCHANGE[0]}:{EXCHANGE[1]}", transport = "udp" }}]
codecs = ["{codec}"]
{opus}
{'srtp = "mandatory"' if run.srtp else ""}
{f'srtp_suites = ["{run.srtp}"]' if run.srtp else ""}
send_sip_options = false
[[bridge]]
tenant = "contoso"
name = "Contoso"
default_service_number = "+14255550100"
country_code = "49"
[[number]]
number = "+14255550100"
owner = "microsoft"
tenant = "contoso"
[[number]]
number = "{NUMBER}"
owner = "operator:acme"
tenant = "contoso"
[[organizer]]
id = "greta"
tenant = "contoso"
license = "operator-connect-conferencing"
service_number = "{NUMBER}"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
[[policy]]
name = "everywhere"
pstn_usages = ["germany"]
[[route]]
name = "germany"
number_pattern = '^\\+49\\d{{6,13}}$'
pstn_usages = ["germany"]
bridge_source_phone_number = "{NUMBER}"
{meetings}
"""

    def _ready(self):
        try:
            return self._http("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def _http(self, method, path, body=None):
        connection = http.client.HTTPConnection(ADDRESS, 8080, timeout=10)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def _dial(self):
        total = self.run.rooms * self.run.legs
        for number in range(total):
            meeting = self.meetings[number // self.run.legs]
            path, body = f"/v1/conferences/{meeting}/dial-out", {"number": f"+4930{number:07d}"}
            status, text = self._http("POST", path, body)
            end = time.monotonic() + BUSY_SECONDS
            while status in (429, 503) and time.monotonic() < end:
                # The bridge is careful with its threads; on a machine that others use too it may have been kept waiting.
                time.sleep(0.5)
                status, text = self._http("POST", path, body)
            if status >= 300:
                raise RuntimeError(f"partyline dials no leg {number}: {status} {text}")
            wait_until("the exchange is called", lambda: len(self.exchange.remotes) > number - AT_ONCE, program=self.program)
        wait_until("all legs are up", lambda: len(self.exchange.established) == total, program=self.program)
        return [self.exchange.remotes[number] for number in range(total)]

    def _be_called(self):
        total = self.run.rooms * self.run.legs
        for number in range(total):
            self.exchange.dial(number)
            wait_until("the bridge answers", lambda: len(self.exchange.established) > number - AT_ONCE, program=self.program)
        wait_until("all callers are answered", lambda: len(self.exchange.established) == total, program=self.program)
        return [self.exchange.remotes[number] for number in range(total)]

    def metrics(self):
        """The metrics page, as series name (labels included) to value."""
        page = {}
        for line in self._http("GET", "/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                page[series] = float(value)
        return page

    def stop(self):
        """Ends the bridge at once: its legs' ends are not what is measured."""
        self.program.child.kill()
        self.program.child.wait()
        self.exchange.close()
        return {}


class Exchange:
    """Answers every INVITE at once with the wanted codec, and can dial. Just enough SIP for a well-behaved peer on loopback."""

    def __init__(self, run):
        self.run = run
        self.remotes = {}
        self.established = set()
        self.refused = []
        self.keys = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.settimeout(0.1)
        self.socket.bind(EXCHANGE)
        self.open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        """Gives the port back: not before the thread has left it."""
        self.open = False
        self.thread.join()
        self.socket.close()

    def _serve(self):
        while self.open:
            try:
                data, source = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
            line, *rest = head.split("\r\n")
            headers = [(name.strip().lower(), value.strip()) for name, _, value in (one.partition(":") for one in rest)]
            method = line.split(" ", 1)[0]
            if method == "INVITE":
                self._answer(line, headers, body, source)
            elif method == "ACK":
                self.established.add(_leg(line))
            elif method != "SIP/2.0":
                self._respond(headers, source, "200 OK", "")
            elif line.split(" ", 2)[1] == "200" and ("cseq", "1 INVITE") in headers:
                self._answered(dict(headers), body)
            elif line.split(" ", 2)[1] >= "300":
                self.refused.append(line)

    def dial(self, number):
        """Calls the bridge; `remotes` has the leg once it is answered. Every caller has a number of his own."""
        run = self.run
        port = run.peer_port + number
        sdp = "\r\n".join([
            "v=0", f"o=- {number} 1 IN IP4 {run.peer_address}", "s=-", f"c=IN IP4 {run.peer_address}", "t=0 0",
            f"m=audio {port} RTP/AVP 0 {EVENTS}", "a=rtpmap:0 PCMU/8000", f"a=rtpmap:{EVENTS} telephone-event/8000",
            f"a=fmtp:{EVENTS} 0-15", "a=rtcp-mux", "a=ptime:20",
        ]) + "\r\n"
        self._request("INVITE", f"sip:{NUMBER}@{ADDRESS}:5060", number, f"<sip:{NUMBER}@{ADDRESS}>", sdp)

    def _answered(self, headers, answer):
        number = _leg(headers["from"])
        address = re.search(r"^c=IN IP4 (\S+)", answer, re.M)[1]
        self.remotes[number] = (address, int(re.search(r"^m=audio (\d+)", answer, re.M)[1]))
        contact = re.search(r"<([^>]+)>", headers["contact"])[1]
        self._request("ACK", contact, number, headers["to"], "")
        self.established.add(number)

    def _request(self, method, uri, number, to, sdp):
        here = f"{EXCHANGE[0]}:{EXCHANGE[1]}"
        caller = f"+4930{number:07d}"
        lines = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{method}{number};rport", "Max-Forwards: 70",
            f"From: <sip:{caller}@{here}>;tag=caller{number}", f"To: {to}", f"Call-ID: caller-{number}", f"CSeq: 1 {method}",
            f"Contact: <sip:{caller}@{here}>",
        ]
        if sdp:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self.socket.sendto("\r\n".join(lines).encode(), (ADDRESS, 5060))

    def _answer(self, line, headers, offer, source):
        number = _leg(line)
        try:
            sdp = self._sdp(number, offer)
        except (LookupError, AttributeError) as error:
            self.refused.append(str(error))
            self._respond(headers, source, "488 Not Acceptable Here", "")
            return
        address = re.search(r"^c=IN IP4 (\S+)", offer, re.M)[1]
        port = int(re.search(r"^m=audio (\d+)", offer, re.M)[1])
        self.remotes[number] = (address, port)
        self._respond(headers, source, "200 OK", sdp)

    def _sdp(self, number, offer):
        run = self.run
        fixed, mapping, fmtp = ANSWERS[run.codec]
        offered = {name.lower(): int(number) for number, name in re.findall(r"^a=rtpmap:(\d+) (\S+)", offer, re.M)}
        listed = [int(word) for word in re.search(r"^m=audio \d+ \S+ (.*)$", offer, re.M)[1].split()]
        payload_type = offered.get(mapping.lower(), fixed)
        if payload_type not in listed:
            raise LookupError(f"{mapping} is not offered: {sorted(offered)}")
        run.payload_type = payload_type
        port = run.peer_port + number
        profile = "RTP/SAVP" if run.srtp else "RTP/AVP"
        lines = [
            "v=0", f"o=- {number} 1 IN IP4 {run.peer_address}", "s=-", f"c=IN IP4 {run.peer_address}", "t=0 0",
            f"m=audio {port} {profile} {payload_type}", f"a=rtpmap:{payload_type} {mapping}", "a=rtcp-mux", "a=ptime:20",
        ]
        if fmtp is not None:
            extra = ";useinbandfec=1" if run.fec else ""
            lines.append(f"a=fmtp:{payload_type} {fmtp}{extra}")
        if run.srtp:
            tag, theirs = re.search(rf"^a=crypto:(\d+) {run.srtp} inline:([^|\s]+)", offer, re.M).groups()
            theirs = base64.b64decode(theirs)
            ours = random.Random(number).randbytes(len(theirs))
            self.keys[number] = {"suite": run.srtp, "ours": ours.hex(), "theirs": theirs.hex()}
            lines.append(f"a=crypto:{tag} {run.srtp} inline:{base64.b64encode(ours).decode()}")
        return "\r\n".join(lines) + "\r\n"

    def _respond(self, headers, source, status, sdp):
        kept = [(name, value) for name, value in headers if name in ("via", "from", "to", "call-id", "cseq", "record-route")]
        lines, number = [f"SIP/2.0 {status}"], None
        for name, value in kept:
            tagged = name == "to" and ";tag=" not in value
            number = _leg(value) if name == "to" else number
            lines.append(f"{name}: {value}{';tag=exchange' if tagged else ''}")
        # The ACK comes to the contact, and so names its leg.
        lines.append(f"contact: <sip:+4930{number or 0:07d}@{EXCHANGE[0]}:{EXCHANGE[1]}>")
        if sdp:
            lines.append("content-type: application/sdp")
        lines += [f"content-length: {len(sdp)}", "", sdp]
        try:
            self.socket.sendto("\r\n".join(lines).encode(), source)
        except OSError:
            pass  # it is being closed


def _leg(line):
    found = re.search(r"\+4930(\d{7})", line)
    return int(found[1]) if found else None
