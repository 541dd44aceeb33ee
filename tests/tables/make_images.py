"""Writes images/ into this folder: a few small PNG and JPEG files, and pixels.csv with what Pillow reads of them.

    python tests/tables/make_images.py        (made with Pillow 13.0.0)
"""

import csv
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent / "images"
HERE.mkdir(exist_ok=True)
random = np.random.default_rng(0)
SIZE = 6
seen = {}


def smooth(channels):
    """Waves, which JPEG keeps well."""
    y, x = np.mgrid[:SIZE, : SIZE + 2]
    waves = [128 + 90 * np.sin(0.5 * x + 0.3 * y * (c + 1) + c) for c in range(channels)]
    return np.stack(waves, axis=-1).round().astype(np.uint8).squeeze()


def save(name, image, **options):
    image.save(HERE / name, **options)
    seen[name] = Image.open(HERE / name)


noise = random.integers(0, 256, (SIZE, SIZE + 2, 4), dtype=np.uint8)
save("grey.png", Image.fromarray(noise[..., 0]))
save("colour.png", Image.fromarray(noise[..., :3]))
save("palette.png", Image.fromarray(noise[..., :3]).quantize(8))
save("bits.png", Image.fromarray(noise[..., 0]).convert("1"))
save("transparent.png", Image.fromarray(noise))
save("grey.jpg", Image.fromarray(smooth(1)), quality=95)
save("colour.jpg", Image.fromarray(smooth(3)), quality=95, subsampling=0)
turned = Image.Exif()
turned[0x0112] = 6
save("turned.jpg", Image.fromarray(smooth(1).T.copy()), quality=95, exif=turned)

with (HERE / "pixels.csv").open("w", newline="") as file:
    rows = csv.writer(file, lineterminator="\n")
    for name, image in seen.items():
        if name == "turned.jpg":
            image = image.transpose(Image.Transpose.ROTATE_270)
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        grey = image.mode in ("L", "1")
        image = image.convert("L" if grey else "RGB")
        rows.writerow([name, *np.asarray(image).ravel()])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A header that claims 60000 × 60000 pixels, and what could be their beginning.
header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
(HERE / "bomb.png").write_bytes(bomb)
