"""Thumbnails: small PNG images, which must be whole."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from typing import Any

from .checks import Refusal, only, require, required, texts
from .state import Row, State, User

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples a pixel, by colour type


def post_thumbnail(state: State, user: User, body: Row) -> Any:
    only(body, "obj_id", "data", "ttype", "survey")
    required(body, "obj_id", "data", "ttype")
    texts(body, "obj_id", "data", "ttype", "survey")
    obj_id, kind = body["obj_id"], body["ttype"]
    require(obj_id in state.objects, f"Object {obj_id} does not exist.")
    require(kind in ("new", "ref", "sub"), f"ttype: unknown: {kind!r:.60}")
    try:
        width, height = png_size(base64.b64decode(body["data"], validate=True))
    except (binascii.Error, ValueError, struct.error, zlib.error) as error:
        raise Refusal(f"data: not a PNG image in base64: {error}") from None
    has_size = all(16 <= side <= 500 for side in (width, height))
    require(has_size, f"data: sides must have 16 to 500 pixels, not {width} x {height}")
    return {"id": state.add(state.thumbnails, {"obj_id": obj_id, "ttype": kind, "size": (width, height)})}


def png_size(image: bytes) -> tuple[int, int]:
    """Return width and height of a PNG image (pixels), having read all of it.

    Raises
    ------
    ValueError, struct.error, zlib.error
        If the image is not whole.
    """
    if not image.startswith(SIGNATURE):
        raise ValueError("it does not begin as a PNG")
    place, pixels, header, last = len(SIGNATURE), b"", None, b""
    while last != b"IEND":
        (length,) = struct.unpack_from(">I", image, place)
        last, content = image[place + 4 : place + 8], image[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", image, place + 8 + length)
        if checksum != zlib.crc32(last + content):
            raise ValueError(f"the checksum of {last!r} is wrong")
        header = struct.unpack(">IIBBBBB", content) if last == b"IHDR" else header
        pixels += content if last == b"IDAT" else b""
        place += 12 + length
    if header is None:
        raise ValueError("it has no IHDR")
    width, height, depth, colour, _, _, interlaced = header
    line = 1 + (width * depth * SAMPLES.get(colour, 0) + 7) // 8
    if len(zlib.decompress(pixels)) != line * height and not interlaced:
        raise ValueError("pixels are missing")
    return width, height
