"""Row keys: functions of the alert alone, so that writing an alert twice leaves one row.

Parts are joined by ``_``; in each part all but letters, digits, ``.``, ``+`` and ``-`` is written as ``%XX``, so no
object name and no class can reach beyond its part. jd is written with seven digits behind the point (days, UTC), and
has seven before it from 1858 to 22,000, so that keys sort by time.

Keys that begin with a time or a class would send a whole night to one region of a cluster: they are salted, with one
digit that is a function of the object's name, and read by as many scans as there are salts. Positions begin with the
nested HEALPix pixel of order 12 (51″) in nine digits: a disc on the sky is a few ranges of keys, however large.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.store import KeyRange
from fink_broker.errors import DataError

#: Scans a question about times takes: few, because each costs a request; a night is spread over so many regions.
SALTS = 4
#: Order of the pixels positions are filed under.
PIXEL_ORDER = 12
PIXEL_DIGITS = 9
#: A name with so many characters is whole; a shorter one stands for all names that begin with it.
WHOLE_NAME = 12

#: jd is written in units of 1e-7 day (9 ms), with leading noughts.
_TICKS_PER_DAY = 10_000_000
_DIGITS = 14
_LAST_TICK = 10**_DIGITS - 1
_UNSAFE = re.compile(rb"[^A-Za-z0-9.+-]")
_UNSAFE_TEXT = "[^A-Za-z0-9.+-]"

Texts: TypeAlias = Sequence[str] | pa.Array | pa.ChunkedArray
Times: TypeAlias = Sequence[float] | npt.NDArray[np.float64] | pa.Array | pa.ChunkedArray


def part(text: str) -> str:
    """Return a text as a part of a key: characters that mean something in keys as ``%XX`` of their UTF-8 bytes."""
    escaped = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], text.encode("utf-8", "surrogatepass"))
    return escaped.decode("ascii")


def split_key(key: bytes) -> list[str]:
    """Return the parts of a key as they were before they were escaped."""
    return [unquote_to_bytes(piece).decode("utf-8", "replace") for piece in key.split(b"_")]


def salt(object_id: str) -> int:
    """Return the salt of an object, 0 to `SALTS` - 1."""
    return zlib.crc32(object_id.encode("utf-8", "surrogatepass")) % SALTS


def alert_key(object_id: str, jd: float) -> bytes:
    """Return the key of an alert, ``objectId_jd`` (jd in days).

    Raises
    ------
    DataError
        If jd is no time a key can hold.
    """
    return f"{part(object_id)}_{_jd_text(jd)}".encode()


def alert_keys(object_ids: Texts, jds: Times) -> list[bytes]:
    """Return `alert_key` of many alerts at once.

    Raises
    ------
    DataError
        If a name is missing, or one of the jd is no time a key can hold; see `keyable`.
    """
    return _joined(_parts(object_ids), _jd_texts(jds))


def time_key(label: str | None, jd: float, object_id: str) -> bytes:
    """Return a key that sorts by time within its salt: ``salt_label_jd_objectId``, without a label if it is None."""
    middle = _jd_text(jd) if label is None else f"{part(label)}_{_jd_text(jd)}"
    return f"{salt(object_id)}_{middle}_{part(object_id)}".encode()


def time_keys(labels: Texts | None, jds: Times, object_ids: Texts) -> list[bytes]:
    """Return `time_key` of many alerts at once.

    Raises
    ------
    DataError
        As `alert_keys`.
    """
    labelled: list[pa.Array] = [] if labels is None else [_parts(labels)]
    return _joined(_salts(object_ids), *labelled, _jd_texts(jds), _parts(object_ids))


def label_keys(labels: Texts, jds: Times) -> list[bytes]:
    """Return keys ``label_jd``, as `alert_keys` does; for tables sorted by a name other than the object's."""
    return alert_keys(labels, jds)


def joined_keys(*texts: Texts) -> list[bytes]:
    """Return keys of parts that are all texts, such as ``tracklet_objectId``."""
    return _joined(*(_parts(each) for each in texts))


def position_key(pixel: int, object_id: str) -> bytes:
    """Return the key of an object's latest alert in a nested pixel of order `PIXEL_ORDER`."""
    return f"{pixel:0{PIXEL_DIGITS}d}_{part(object_id)}".encode()


def position_keys(pixels: npt.NDArray[np.int64], object_ids: Texts) -> list[bytes]:
    """Return `position_key` of many alerts at once; pixels by ``positions.pixels_of``."""
    digits = pc.utf8_lpad(pa.array(pixels, pa.int64()).cast(pa.string()), PIXEL_DIGITS, "0")
    return _joined(digits, _parts(object_ids))


def keyable(object_ids: pa.Array, jds: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which alerts can have a key: they have a name, and a jd from 0 to 10 million days."""
    named = pc.fill_null(pc.greater(pc.binary_length(object_ids), 0), False)
    values = np.asarray(pc.fill_null(jds, math.nan), dtype=np.float64)
    return np.asarray(named) & _in_time(values)


def prefix_range(prefix: bytes) -> KeyRange:
    """Return the range of all keys that begin with some bytes."""
    stem = prefix.rstrip(b"\xff")
    return KeyRange(prefix, stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\xff" * (len(prefix) + 8))


def one_object(object_id: str) -> KeyRange:
    """Return the range of keys ``objectId_…`` of exactly this object."""
    return prefix_range(f"{part(object_id)}_".encode())


def object_range(object_id: str) -> KeyRange:
    """Return the range of keys ``objectId_…`` of an object, or of all whose names begin with a shorter text."""
    return one_object(object_id) if len(object_id) >= WHOLE_NAME else prefix_range(part(object_id).encode())


def time_ranges(label: str | None, jd_start: float | None = None, jd_stop: float | None = None) -> list[KeyRange]:
    """Return the ranges of `time_key`, one a salt.

    Parameters
    ----------
    label : str or None
        The label the keys have, None if they have none.
    jd_start, jd_stop : float, optional
        Times in days, both included; a time beyond what keys can hold is as far as they go.
    """
    first = 0 if jd_start is None else _clipped_tick(jd_start)
    last = _LAST_TICK if jd_stop is None else _clipped_tick(jd_stop)
    ranges = []
    for number in range(SALTS):
        head = f"{number}_" if label is None else f"{number}_{part(label)}_"
        ranges.append(KeyRange((head + _as_days(first)).encode(), prefix_range((head + _as_days(last)).encode()).stop))
    return ranges


def without_salt(key: bytes) -> bytes:
    """Return a salted key without its salt: by these, rows of all salts sort by time."""
    return key[2:]


def _jd_text(jd: float) -> str:
    if not (math.isfinite(jd) and 0 <= round(jd * _TICKS_PER_DAY) <= _LAST_TICK):
        raise _no_time(jd)
    return _as_days(round(jd * _TICKS_PER_DAY))


def _as_days(tick: int) -> str:
    digits = f"{tick:0{_DIGITS}d}"
    return f"{digits[:7]}.{digits[7:]}"


def _clipped_tick(jd: float) -> int:
    if math.isnan(jd):
        raise _no_time(jd)
    return min(max(round(min(max(jd, 0.0), 1e7) * _TICKS_PER_DAY), 0), _LAST_TICK)


def _no_time(jd: float) -> DataError:
    return DataError(
        f"{jd!r} is no Julian date.", "Dates of exposures are days from 0 to 9,999,999, such as 2460000.5."
    )


def _in_time(jds: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        ticks = np.rint(jds * _TICKS_PER_DAY)
        return (ticks >= 0) & (ticks <= _LAST_TICK)


def _jd_texts(jds: Times) -> pa.Array:
    values = np.asarray(jds, dtype=np.float64)
    good = _in_time(values)
    if not good.all():
        raise _no_time(float(values[~good][0]))
    # the same product and rounding as in _jd_text: a key must not depend on how many are made at once
    digits = pc.utf8_lpad(pa.array(np.rint(values * _TICKS_PER_DAY).astype(np.int64)).cast(pa.string()), _DIGITS, "0")
    days, rest = pc.utf8_slice_codeunits(digits, 0, 7), pc.utf8_slice_codeunits(digits, 7)
    return pc.binary_join_element_wise(days, rest, ".")


def _flat(texts: Texts) -> pa.Array:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts.cast(pa.string()) if isinstance(texts, pa.Array) else pa.array(texts, pa.string())


def _parts(texts: Texts) -> pa.Array:
    names = _flat(texts)
    if names.null_count:
        raise DataError("A key has a part that is missing.", "Alerts without a name cannot be filed; leave them out.")
    if not pc.any(pc.match_substring_regex(names, _UNSAFE_TEXT)).as_py():
        return names
    distinct = pc.dictionary_encode(names)
    return pa.array([part(name) for name in distinct.dictionary.to_pylist()], pa.string()).take(distinct.indices)


def _salts(object_ids: Texts) -> pa.Array:
    return pa.array([str(salt(name)) for name in _flat(object_ids).to_pylist()], pa.string())


def _joined(*parts: pa.Array) -> list[bytes]:
    keys: list[bytes] = pc.binary_join_element_wise(*parts, "_").cast(pa.binary()).to_pylist()
    return keys
