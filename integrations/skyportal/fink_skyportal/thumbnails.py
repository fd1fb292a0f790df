"""The cutouts of an alert as the thumbnails of SkyPortal: gzipped FITS images become PNG, north up and east left.

The files are small and plain, one image each, so they are read here in 0.1 ms, and nothing in a file makes it larger
than a limit when it is unpacked.
"""

from __future__ import annotations

import base64
import logging
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: cutout of an alert and the name SkyPortal has for it
KINDS = {"Science": "new", "Template": "ref", "Difference": "sub"}

#: side of a whole ZTF cutout in pixels; those from the edge of a detector are filled up
SIDE = 63
#: longest side SkyPortal takes
LONGEST_SIDE = 500
#: every pixel of a cutout becomes so many on a side, that browsers do not blur it
MAGNIFICATION = 3
#: shares of the pixels, in percent, that become black and white
BLACK_PERCENT, WHITE_PERCENT = 1.0, 99.8
#: where the asinh stretch turns from linear to logarithmic, as share of the range (Lupton et al. 2004, PASP 116, 133)
SOFTENING = 0.1

_MOST_BYTES = 8 * 2**20
_BLOCK, _CARD = 2880, 80
_MOST_CARDS = 1000
_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_VALUE = re.compile(r"([A-Z0-9_-]+) *= *([^/']+)")

Image = npt.NDArray[np.float64]
_log = logging.getLogger(__name__)


class BrokenCutout(ValueError):
    """A cutout that is no image; says why."""


def thumbnails(alert: Mapping[str, Any]) -> dict[str, str]:
    """Return the images of an alert, PNG in base64, by the names SkyPortal has for them.

    Parameters
    ----------
    alert : mapping
        The decoded message, with ``cutoutScience``, ``cutoutTemplate`` and ``cutoutDifference``.

    Returns
    -------
    dict
        ``new``, ``ref`` and ``sub``. A missing cutout is left out; a broken one too, and the log says so.
    """
    made = {}
    for kind, name in KINDS.items():
        cutout = alert.get(f"cutout{kind}")
        stamp = cutout.get("stampData") if isinstance(cutout, Mapping) else cutout
        if not isinstance(stamp, bytes) or not stamp:
            continue
        try:
            image = image_of(stamp)
            if max(image.shape) * MAGNIFICATION > LONGEST_SIDE:
                raise BrokenCutout(f"it has {image.shape[1]} × {image.shape[0]} pixels")
            shades = difference_shades(image) if kind == "Difference" else shades_of(image)
        except BrokenCutout as error:
            _log.warning("cutout%s of %s is left out: %s", kind, alert.get("objectId"), error)
            continue
        made[name] = base64.b64encode(png(_whole(shades))).decode("ascii")
    return made


def image_of(stamp: bytes) -> Image:
    """Return the image in a FITS file, gzipped or not.

    Returns
    -------
    numpy.ndarray
        Pixels, shape (rows, columns), in the order of the file; in cutouts of ZTF the first row is the northernmost,
        the first column the easternmost. Those without a value, or of an absurd one, are NaN.

    Raises
    ------
    BrokenCutout
        If it is no such file.
    """
    content = _unpacked(stamp)
    header, start = _header(content)
    try:
        axes, bitpix, width, height = (int(header[name]) for name in ("NAXIS", "BITPIX", "NAXIS1", "NAXIS2"))
        scale, zero = float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))
    except (KeyError, ValueError) as error:
        raise BrokenCutout("its header does not describe an image") from error
    if axes != 2 or bitpix not in _TYPES or not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        raise BrokenCutout("its header does not describe an image of a cutout's size")
    kind = np.dtype(_TYPES[bitpix])
    if len(content) < start + width * height * kind.itemsize:
        raise BrokenCutout("it ends too soon")
    stored = np.frombuffer(content, kind, width * height, start).reshape(height, width)
    pixels = stored.astype(np.float64) * scale + zero
    pixels[~(np.abs(pixels) < 1e20)] = np.nan
    return pixels


def shades_of(image: Image) -> npt.NDArray[np.uint8]:
    """Return the grey levels of an image of the sky: asinh between two percentiles; no value is black.

    Raises
    ------
    BrokenCutout
        If no pixel has a value.
    """
    black, white = np.percentile(_values(image), (BLACK_PERCENT, WHITE_PERCENT))
    share = _share(image, black, white)
    return _levels(np.arcsinh(share / SOFTENING) / np.arcsinh(1 / SOFTENING))


def difference_shades(image: Image) -> npt.NDArray[np.uint8]:
    """Return the grey levels of a difference image: linear, no difference is grey, fainter darker; no value is grey.

    Raises
    ------
    BrokenCutout
        If no pixel has a value.
    """
    values = _values(image)
    reach = np.percentile(np.abs(values), WHITE_PERCENT)
    return _levels(_share(np.where(np.isnan(image), 0.0, image), -reach, reach))


def png(levels: npt.NDArray[np.uint8]) -> bytes:
    """Return a grey image, shape (rows, columns), as PNG (RFC 2083); the first row is the upmost."""
    rows, columns = levels.shape
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    # each line begins with the number of its filter; with 2 it is told as what it adds to the one above, modulo 256
    lines = np.hstack([np.full((rows, 1), 2, np.uint8), np.diff(levels, axis=0, prepend=np.uint8(0))])
    body = zlib.compress(lines.tobytes(), 4)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _values(image: Image) -> Image:
    values = image[~np.isnan(image)]
    if not values.size:
        raise BrokenCutout("none of its pixels has a value")
    return values


def _share(image: Image, black: float, white: float) -> Image:
    if white <= black:
        return np.full(image.shape, 0.5)
    return np.clip((np.nan_to_num(image, nan=black) - black) / (white - black), 0.0, 1.0)


def _levels(share: Image) -> npt.NDArray[np.uint8]:
    return np.rint(share * 255).astype(np.uint8)


def _whole(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image filled up with black to the size of a cutout, and magnified."""
    rows, columns = levels.shape
    filled = np.pad(levels, ((0, max(0, SIDE - rows)), (0, max(0, SIDE - columns))))
    return filled.repeat(MAGNIFICATION, axis=0).repeat(MAGNIFICATION, axis=1)


def _unpacked(stamp: bytes) -> bytes:
    if stamp[:2] != b"\x1f\x8b":
        return stamp
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(stamp, _MOST_BYTES)
    except zlib.error as error:
        raise BrokenCutout("it cannot be unpacked") from error
    if not unpacker.eof:
        raise BrokenCutout("it ends too soon, or is larger than a cutout")
    return content


def _header(content: bytes) -> tuple[dict[str, str], int]:
    """Return the cards of the header (FITS standard 4.0, section 4), and where the data begin."""
    if content[:6] != b"SIMPLE":
        raise BrokenCutout("it is no FITS file")
    cards: dict[str, str] = {}
    for number in range(min(len(content) // _CARD, _MOST_CARDS)):
        card = content[number * _CARD : (number + 1) * _CARD].decode("ascii", "replace")
        if card.rstrip() == "END":
            return cards, -(-(number + 1) * _CARD // _BLOCK) * _BLOCK
        if match := _VALUE.match(card):
            cards.setdefault(match[1], match[2].strip())
    raise BrokenCutout("its header does not end")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
