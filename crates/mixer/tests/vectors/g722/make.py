"""Makes the vectors of this folder with two implementations of G.722 that are not ours, and refuses to where they disagree.

    pip install G722 numpy        # sippy's libg722
    apt-get install ffmpeg
    python make.py
"""

import subprocess

import G722
import numpy

RATE = 16_000
random = numpy.random.default_rng(722)


def main():
    signal().tofile("signal.s16")
    encoded = run("-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "signal.s16", "-c:a", "g722", "-f", "g722")
    ours = numpy.fromfile("signal.s16", "<i2")
    assert encoded == bytes(G722.G722(RATE, 64_000).encode(ours)), "ffmpeg and libg722 encode differently"
    write("signal.g722", encoded)
    write("random.g722", random.integers(0, 256, 4_000, dtype=numpy.uint8).tobytes())
    for name in ("signal", "random"):
        decoded = run("-f", "g722", "-i", f"{name}.g722", "-f", "s16le")
        with open(f"{name}.g722", "rb") as codes:
            theirs = numpy.array(G722.G722(RATE, 64_000).decode(codes.read()), "<i2")
        assert decoded == theirs.tobytes(), "ffmpeg and libg722 decode differently"
        write(f"{name}.decoded.s16", decoded)


def signal():
    """What a codec meets and what it should not: voice, silence, tones, noise, squares and noise of full scale, a sweep."""
    length = RATE // 5
    time = numpy.arange(length) / RATE
    pitch = numpy.cumsum(120 + 30 * numpy.sin(2 * numpy.pi * 4 * time)) * 2 * numpy.pi / RATE
    voice = sum(numpy.sin(k * pitch) / k for k in range(1, 40)) * numpy.abs(numpy.sin(2 * numpy.pi * 5 * time))
    parts = [
        6_000 * voice + 300 * random.standard_normal(length),
        numpy.zeros(length),
        12_000 * numpy.sin(2 * numpy.pi * 1_000 * time),
        32_767 * numpy.sign(numpy.sin(2 * numpy.pi * 300 * time)),
        random.choice([-32_768, 32_767], length),
        20_000 * numpy.sin(2 * numpy.pi * numpy.cumsum(numpy.linspace(0, 8_000, length)) / RATE),
        5 * random.standard_normal(length),
        numpy.full(length, 32_767),
    ]
    return numpy.clip(numpy.round(numpy.concatenate(parts)), -32_768, 32_767).astype("<i2")


def run(*arguments):
    return subprocess.run(["ffmpeg", "-v", "error", *arguments, "-"], check=True, stdout=subprocess.PIPE).stdout


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


main()
