"""Reads the images of a ZTF packet: gzipped FITS files of one array of 32-bit floats."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Stamp = npt.NDArray[np.float32]

#: Most bytes a stamp may unpack to; those of ZTF have 20,160. A small file can hold gigabytes of zeros.
MAX_UNPACKED_BYTES = 1_000_000
#: A FITS file consists of blocks of this many bytes; its header, of cards of `CARD_BYTES`.
BLOCK_BYTES = 2880
CARD_BYTES = 80

#: The first cards of a header and the values read here; FITS (Pence et al. 2010, A&A 524, A42) fixes their order.
_FIRST_CARDS = ((b"SIMPLE", b"T"), (b"BITPIX", b"-32"), (b"NAXIS", b"2"))
#: Keywords that change what the stored numbers mean; a stamp with one of them is not read.
_SCALED = frozenset({b"BSCALE", b"BZERO"})


def read_stamp(content: bytes | None) -> Stamp | None:
    """Return the pixels of a gzipped FITS file (data number), or None if it is no such file.

    Read are plain two-dimensional images of 32-bit floats, as all of ZTF are. Anything else is refused: broken or
    truncated files, other pixel types, scaled values, and files that unpack to more than `MAX_UNPACKED_BYTES`.

    Parameters
    ----------
    content : bytes or None
        The file.

    Returns
    -------
    numpy.ndarray or None
        Shape (NAXIS2, NAXIS1), 32-bit floats of this machine's byte order.
    """
    plain = _unpack(content) if content else None
    if plain is None:
        return None
    layout = _read_header(plain)
    if layout is None:
        return None
    start, width, height = layout
    # every block is whole in a FITS file, but only the pixels matter
    if width <= 0 or height <= 0 or start + 4 * width * height > len(plain):
        return None
    pixels = np.frombuffer(plain, ">f4", count=width * height, offset=start)
    return pixels.astype(np.float32).reshape(height, width)


def _unpack(content: bytes) -> bytes | None:
    """Return what a gzip file holds; None if it is broken, cut short or too large."""
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(content, MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return plain if unpacker.eof else None


def _read_header(plain: bytes) -> tuple[int, int, int] | None:
    """Return where the pixels start (bytes), and NAXIS1 and NAXIS2; None if this is no header understood here."""
    cards = [_split(plain[at : at + CARD_BYTES]) for at in range(0, 5 * CARD_BYTES, CARD_BYTES)]
    if tuple(cards[:3]) != _FIRST_CARDS or [keyword for keyword, _ in cards[3:]] != [b"NAXIS1", b"NAXIS2"]:
        return None
    try:
        width, height = (int(value) for _, value in cards[3:])
    except ValueError:
        return None
    for at in range(5 * CARD_BYTES, len(plain), CARD_BYTES):
        keyword = plain[at : at + 8].rstrip()
        if keyword == b"END":
            return -(-(at + CARD_BYTES) // BLOCK_BYTES) * BLOCK_BYTES, width, height
        if keyword in _SCALED:
            return None
    return None


def _split(card: bytes) -> tuple[bytes, bytes]:
    """Return keyword and value of a card, without the comment."""
    return card[:8].rstrip(), card[10:].split(b"/", 1)[0].strip()
