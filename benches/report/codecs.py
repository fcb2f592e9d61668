"""Codecs for the measuring side, through FFmpeg's libraries (PyAV): not the code that is measured.

G.711 is a few lines of arithmetic here as well, since FFmpeg's PCM codecs want packets of their own.
"""

import numpy as np

# name: FFmpeg's codec, PCM rate, RTP clock
KINDS = {
    "pcmu": (None, 8000, 8000),
    "pcma": (None, 8000, 8000),
    "g722": ("g722", 16000, 8000),
    "opus16": ("libopus", 16000, 48000),
    "opus48": ("libopus", 48000, 48000),
}


class Codec:
    """One direction of one codec, 20 ms a packet."""

    def __init__(self, kind, complexity=6, bitrate=24000, fec=True, loss=5):
        self.kind = kind
        self.library, self.rate, self.clock = KINDS[kind]
        self.frame = self.rate // 50
        self.options = {
            "application": "voip", "frame_duration": "20", "compression_level": str(complexity), "vbr": "on",
            "fec": str(int(fec)), "packet_loss": str(loss),
        }
        self.bitrate = bitrate

    def encode(self, pcm):
        """Whole frames of 16-bit samples to payloads."""
        count = len(pcm) // self.frame
        pcm = np.asarray(pcm[: count * self.frame], np.int16)
        if self.library is None:
            codes = (mu_law if self.kind == "pcmu" else a_law)(pcm)
            return [codes[n * 160 : (n + 1) * 160].tobytes() for n in range(count)]
        import av

        context = av.CodecContext.create(self.library, "w")
        context.sample_rate, context.layout, context.format = self.rate, "mono", "s16"
        if self.library == "libopus":
            context.bit_rate, context.options = self.bitrate, self.options
        payloads = []
        for n in range(count):
            frame = av.AudioFrame.from_ndarray(pcm[None, n * self.frame : (n + 1) * self.frame], "s16", "mono")
            frame.sample_rate, frame.pts = self.rate, n * self.frame
            payloads += [bytes(packet) for packet in context.encode(frame)]
        payloads += [bytes(packet) for packet in context.encode(None)]
        return payloads[:count]

    def decode(self, payloads):
        """Payloads in order to 16-bit samples; None is a lost packet and becomes silence."""
        if self.library is None:
            table = MU_LAW if self.kind == "pcmu" else A_LAW
            silent = np.zeros(160, np.int16)
            parts = [silent if one is None else table[np.frombuffer(one, np.uint8)] for one in payloads]
            return np.concatenate(parts) if parts else np.zeros(0, np.int16)
        import av

        context = av.CodecContext.create("g722" if self.library == "g722" else "libopus", "r")
        context.sample_rate, context.layout = (self.rate if self.library == "g722" else 48000), "mono"
        parts = []
        for payload in payloads:
            if payload is None:
                parts.append(np.zeros(self.frame if self.library == "g722" else 960, np.int16))
                continue
            for frame in context.decode(av.Packet(payload)):
                samples = frame.to_ndarray()
                parts.append(samples.reshape(-1, len(frame.layout.channels))[:, 0] if frame.format.is_packed else samples[0])
        pcm = np.concatenate(parts).astype(np.int16) if parts else np.zeros(0, np.int16)
        if self.library == "libopus" and self.rate != 48000:
            from scipy.signal import resample_poly

            pcm = np.clip(resample_poly(pcm.astype(float), 1, 48000 // self.rate), -32768, 32767).astype(np.int16)
        return pcm


def mu_law(pcm):
    """ITU-T G.711 mu-law."""
    wide = pcm.astype(np.int32)
    magnitude = np.minimum(np.abs(wide), 32635) + 132
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = segment << 4 | (magnitude >> (segment + 3)) & 15
    return (~(code | np.where(wide < 0, 0x80, 0)) & 0xFF).astype(np.uint8)


def a_law(pcm):
    """ITU-T G.711 A-law."""
    wide = pcm.astype(np.int32) >> 3
    negative = wide < 0
    magnitude = np.where(negative, -wide - 1, wide)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = np.where(segment > 0, magnitude >> segment, magnitude >> 1) & 15
    return ((segment << 4 | mantissa) ^ np.where(negative, 0x55, 0xD5)).astype(np.uint8)


def _mu_table():
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_table():
    code = np.arange(256) ^ 0x55
    segment, mantissa = code >> 4 & 7, (code & 15) << 4
    magnitude = np.where(segment == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


MU_LAW, A_LAW = _mu_table(), _a_table()
