"""Images of alerts: from the gzipped FITS files of the packets to arrays.

These files are small and plain, one image of numbers each, so they are read here in 0.1 ms instead of by a library that
knows all of FITS and needs 2 ms. Nothing in a file makes it larger than a limit when it is unpacked.
"""

from __future__ import annotations

import re
import zlib
from typing import Literal

import numpy as np
import numpy.typing as npt

from fink_broker.errors import DataError

ImageKind = Literal["Science", "Template", "Difference"]
#: in the order in which they are listed everywhere
KINDS: tuple[ImageKind, ...] = ("Science", "Template", "Difference")

#: largest image, unpacked: 500 times that of a packet
MOST_BYTES = 8 * 2**20
#: largest side in pixels
LONGEST_SIDE = 1024

_BLOCK = 2880
_CARD = 80
_MOST_HEADER_BLOCKS = 32
_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_VALUE = re.compile(r"([A-Z0-9_-]+) *= *([^/']+)")

Image = npt.NDArray[np.float32]


def column_of(kind: ImageKind) -> str:
    """Return the published name of an image (``b:cutoutScience_stampData``)."""
    return f"b:cutout{kind}_stampData"


def unpacked(fits_gz: bytes) -> bytes:
    """Return a FITS file that was gzipped; one that was not, as it is.

    Raises
    ------
    DataError
        If it is damaged, or larger than `MOST_BYTES`.
    """
    if fits_gz[:2] != b"\x1f\x8b":
        content = fits_gz[: MOST_BYTES + 1]
    else:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(fits_gz, MOST_BYTES + 1)
        except zlib.error as error:
            raise _damaged("it cannot be unpacked") from error
        if not unpacker.eof and len(content) <= MOST_BYTES:
            raise _damaged("it ends too soon")
    if len(content) > MOST_BYTES:
        raise _damaged(f"it is larger than {MOST_BYTES // 2**20} MiB")
    return content


def image_of(fits_gz: bytes) -> Image:
    """Return the image in a FITS file, gzipped or not.

    Parameters
    ----------
    fits_gz : bytes
        The file; its first image is taken.

    Returns
    -------
    numpy.ndarray
        Pixels, shape (rows, columns), first row first; those without a value are NaN.

    Raises
    ------
    DataError
        If it is no such file, or damaged, or its image is larger than a packet's could be.
    """
    content = unpacked(fits_gz)
    header, start = _header(content)
    bitpix, width, height = (_integer(header, name) for name in ("BITPIX", "NAXIS1", "NAXIS2"))
    if _integer(header, "NAXIS") != 2 or bitpix not in _TYPES:
        raise _damaged("it does not hold one image")
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        raise _damaged(f"its image would have {width} × {height} pixels")
    kind = np.dtype(_TYPES[bitpix])
    if len(content) < start + width * height * kind.itemsize:
        raise _damaged("it ends too soon")
    stored = np.frombuffer(content, kind, width * height, start).reshape(height, width)
    pixels = stored.astype(np.float64) * _number(header, "BSCALE", 1.0) + _number(header, "BZERO", 0.0)
    if bitpix > 0 and "BLANK" in header:
        pixels[stored == _integer(header, "BLANK")] = np.nan
    with np.errstate(over="ignore"):
        return pixels.astype(np.float32)


def as_lists(image: Image) -> list[list[float | None]]:
    """Return an image as JSON has it: rows of numbers, None where there is no value."""
    if np.isfinite(image).all():
        rows: list[list[float | None]] = _shortest(image).tolist()
        return rows
    pixels = _shortest(image).astype(object)
    pixels[~np.isfinite(image)] = None
    return list(pixels.tolist())


def _shortest(image: Image) -> npt.NDArray[np.float64]:
    """Return the doubles that print as the floats do: 12.3 and not 12.300000190734863."""
    return image.astype(str).astype(np.float64)


def _header(content: bytes) -> tuple[dict[str, str], int]:
    """Return the cards of the first header, and where the data begin."""
    if content[:6] != b"SIMPLE":
        raise _damaged("it is no FITS file")
    cards: dict[str, str] = {}
    for number in range(min(_MOST_HEADER_BLOCKS, len(content) // _BLOCK) * _BLOCK // _CARD):
        card = content[number * _CARD : (number + 1) * _CARD].decode("ascii", "replace")
        if card.rstrip() == "END":
            return cards, -(-((number + 1) * _CARD) // _BLOCK) * _BLOCK
        if match := _VALUE.match(card):
            cards.setdefault(match[1], match[2].strip())
    raise _damaged("its header does not end")


def _integer(header: dict[str, str], name: str) -> int:
    text = header.get(name, "")
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise _damaged(f"its header does not say {name}")
    return int(text)


def _number(header: dict[str, str], name: str, default: float) -> float:
    try:
        return float(header.get(name, default))
    except ValueError as error:
        raise _damaged(f"its header does not say {name}") from error


def _damaged(why: str) -> DataError:
    return DataError(f"An image of the alert cannot be read: {why}.", "Its packet came with a damaged image.")
