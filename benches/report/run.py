"""One measured situation: how many rooms and legs, who talks, in which codec."""

from dataclasses import dataclass


@dataclass
class Run:
    """What is asked of every system alike."""

    rooms: int
    legs: int  # in each room
    codec: str = "pcmu"  # pcmu, pcma, g722, opus16, opus48
    talkers: int | None = None  # in each room; None: all
    seconds: float = 8.0  # measured
    peer_address: str = "127.0.2.1"
    peer_port: int = 10000
    payload_type: int = 0
    # Opus, for both sides alike
    complexity: int = 6
    bitrate: int = 24000
    fec: bool = True
    expected_loss: int = 5
    realtime: int = 0  # SCHED_FIFO priority of what mixes: partyline's media thread, the whole floor
    # partyline only
    shards: int = 1
    srtp: str | None = None  # a suite's name in SDP
    kept: int | None = None  # of how many calls messages and decisions are kept in memory; None: as many as by default
    dial_in: bool = False  # the legs call, and are with the attendant; else they are called, and are in their conferences

    @property
    def total(self):
        """Legs in all rooms."""
        return self.rooms * self.legs

    def talks(self, number):
        """Whether leg `number` of all rooms talks."""
        return self.talkers is None or number % self.legs < self.talkers

    def __str__(self):
        who = "all talking" if self.talkers is None else f"{self.talkers} talking"
        return f"{self.codec}{' SRTP' if self.srtp else ''} {self.rooms} x {self.legs}, {who}"
