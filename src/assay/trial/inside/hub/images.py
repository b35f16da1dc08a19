"""Pictures and sounds whose label can be seen and heard, written as files without any library.

A label decides colour, stripes and pitch; noise comes from the row. Pixels are made with NumPy, which `datasets` needs.
"""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from random import Random
from typing import Any

_BLOCK = 8


def pixels(label: int, random: Random, height: int, width: int, gray: bool = False) -> Any:
    """A picture as an array of bytes, height x width x 3, or height x width where it is gray.

    Args:
        label: Decides the colour, the direction and the width of the stripes.
        random: Decides the noise and where the stripes begin.
        height: In pixels.
        width: In pixels.
        gray: Whether the picture has one channel.
    """
    import numpy as np

    if height * width > 16384:
        # noise in blocks: a photograph's worth of single pixels takes long to make and to compress
        small = pixels(label, random, -(-height // _BLOCK), -(-width // _BLOCK), gray)
        return small.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)[:height, :width]
    noise = np.random.default_rng(random.getrandbits(32))
    rows = np.arange(height, dtype=np.float32)[:, None] / height
    columns = np.arange(width, dtype=np.float32)[None, :] / width
    angle, waves = label * 2.399963, 2 + label % 7  # the golden angle keeps the directions of neighbouring labels apart
    wave_ = np.sin(2 * math.pi * waves * (rows * math.cos(angle) + columns * math.sin(angle)) + random.random())
    if gray:
        found = 110 + 90 * wave_ + noise.normal(0, 12, (height, width))
    else:
        colour = np.array([40 + (label * step) % 176 for step in (67, 101, 151)], dtype=np.float32)
        found = colour + 40 * wave_[:, :, None] + noise.normal(0, 12, (height, width, 1))
    return np.clip(found, 0, 255).astype(np.uint8)


def png(picture: Any) -> bytes:
    """An array of bytes, height x width or height x width x 3, as a PNG file."""
    import numpy as np

    height, width = picture.shape[:2]
    colour = 0 if picture.ndim == 2 else 2
    lines = np.zeros((height, 1 + picture.size // height), dtype=np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tone(label: int, random: Random, rate: int, seconds: float) -> bytes:
    """A sound as a WAV file of one channel and 16 bits: a tone whose pitch the label decides.

    Args:
        label: Decides the pitch.
        random: Decides the loudness and the phase.
        rate: Samples a second.
        seconds: How long it is.
    """
    import numpy as np

    pitch = 110.0 * 2 ** ((label % 36) / 12)
    loudness, phase = 6000 + 12000 * random.random(), random.random() * 6.283
    step = 2 * math.pi * pitch / rate
    samples = (loudness * np.sin(phase + step * np.arange(int(rate * seconds)))).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return out.getvalue()
