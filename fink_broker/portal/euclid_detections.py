"""Detections of moving objects in images of Euclid, as its pipelines send them: tables of texts with blanks between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from fink_broker.archive.hbase.keys import part
from fink_broker.portal.route import RequestError

#: most detections of a file, longest line and longest text
MOST_ROWS = 200_000
LONGEST_LINE = 4000
#: modified Julian dates of 1858 and of 2132: what lies beyond is no date of a detection
MJD_LIMITS = 0.0, 100_000.0
FIRST_DAY = np.datetime64("1858-11-17")

_INTEGER, _DOUBLE, _STRING = pa.int64(), pa.float64(), pa.string()
_STREAK = {
    "Obj_id": _INTEGER, "Dither": _DOUBLE, "NDet": _INTEGER, "RA_middle": _DOUBLE, "DEC_middle": _DOUBLE,
    "RA_start": _DOUBLE, "DEC_start": _DOUBLE, "RA_end": _DOUBLE, "DEC_end": _DOUBLE, "MJD_middle": _DOUBLE,
    "MJD_start": _DOUBLE, "MJD_end": _DOUBLE, "FLUX_AUTO": _DOUBLE, "MAG_AUTO": _DOUBLE,
}  # fmt: skip
#: columns of each pipeline's files
PIPELINES: Mapping[str, Mapping[str, pa.DataType]] = {
    "ssopipe": {
        "INDEX": _INTEGER, "RA": _DOUBLE, "DEC": _DOUBLE, "PROP_MOT": _DOUBLE, "N_DET": _INTEGER, "CATALOG": _STRING,
        "X_WORLD": _DOUBLE, "Y_WORLD": _DOUBLE, "ERRA_WORLD": _DOUBLE, "ERRB_WORLD": _DOUBLE, "FLUX_AUTO": _DOUBLE,
        "FLUXERR_AUTO": _DOUBLE, "MAG_AUTO": _DOUBLE, "MAGERR_AUTO": _DOUBLE, "ELONGATION": _DOUBLE,
        "ELLIPTICITY": _DOUBLE, "MJD": _DOUBLE,
    },
    "streakdet": _STREAK,
    "dl": {**_STREAK, "Score": _DOUBLE},
}  # fmt: skip
#: what is added to each detection
ADDED = {"pipeline": _STRING, "version": _STRING, "submission_date": _INTEGER, "EID": _STRING}


@dataclass(frozen=True)
class Submission:
    """What comes with a file.

    Parameters
    ----------
    eid : str
        Its identifier.
    pipeline : str
        One of `PIPELINES`.
    version : str
        Of the pipeline.
    date : int
        ``YYYYMMDD``.
    """

    eid: str
    pipeline: str
    version: str
    date: int


def schema_of(pipeline: str) -> pa.Schema:
    """Return the columns of stored detections of a pipeline."""
    return pa.schema([(f"d:{name}", kind) for name, kind in {**PIPELINES[pipeline], **ADDED}.items()])


def detections(payload: bytes, sent: Submission) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the detections in a file as rows: key and fields.

    Keys are ``<pipeline>_<YYYYMMDD of MJD or MJD_start>_<EID>_<index>``.

    Parameters
    ----------
    payload : bytes
        Text; first line the names of the columns, in any order.
    sent : Submission
        What comes with it.

    Raises
    ------
    RequestError
        If it is no such file; its header and every line are looked at before the first row is given.
    """
    try:
        lines = [line for line in payload.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise RequestError("`payload` is not a text in UTF-8.\n") from error
    if not lines or len(lines) > MOST_ROWS + 1 or max(map(len, lines)) > LONGEST_LINE:
        raise RequestError(
            f"`payload` must be a header and up to {MOST_ROWS:,} lines of at most {LONGEST_LINE:,} characters.\n"
        )
    kinds = PIPELINES[sent.pipeline]
    header = _header(lines[0], sent.pipeline)
    parsed = [_row(number, line, header, kinds) for number, line in enumerate(lines[1:], 2)]
    nights = _nights([row["MJD" if "MJD" in kinds else "MJD_start"] for row in parsed])
    added = {"pipeline": sent.pipeline, "version": sent.version, "submission_date": sent.date, "EID": sent.eid}
    return (
        (
            f"{sent.pipeline}_{night}_{part(sent.eid)}_{index}",
            {f"d:{name}": value for name, value in chain(row.items(), added.items())},
        )
        for index, (night, row) in enumerate(zip(nights, parsed, strict=True))
    )


def _header(line: str, pipeline: str) -> list[str]:
    names, expected = line.split(), PIPELINES[pipeline]
    missing = [name for name in expected if name not in names]
    new = [name[:60] for name in names if name not in expected][:50]
    if missing or new or len(set(names)) < len(names):
        raise RequestError(
            f"The columns of `payload` are not those of {pipeline}. Missing fields: {missing}. New fields: {new}.\n"
        )
    return names


def _row(number: int, line: str, header: list[str], kinds: Mapping[str, pa.DataType]) -> dict[str, Any]:
    values = line.split()
    if len(values) != len(header):
        raise RequestError(f"Line {number} of `payload` has {len(values)} values, its header {len(header)}.\n")
    try:
        return {name: _value(value, kinds[name]) for name, value in zip(header, values, strict=True)}
    except ValueError as error:
        raise RequestError(f"Line {number} of `payload` has a value that is no number.\n") from error


def _value(text: str, kind: pa.DataType) -> Any:
    if kind == _STRING:
        return text
    number = float(text)
    if kind == _INTEGER:
        if not (number.is_integer() and abs(number) < 2**63):
            raise ValueError(text)
        return int(text) if text.lstrip("+-").isdigit() else int(number)
    return number if math.isfinite(number) else None


def _nights(mjd: list[float | None]) -> list[str]:
    """Return the day of each modified Julian date, ``YYYYMMDD``."""
    if not all(value is not None and MJD_LIMITS[0] <= value < MJD_LIMITS[1] for value in mjd):
        raise RequestError("`payload` has a detection without a date (MJD).\n")
    days = FIRST_DAY + np.floor(np.array(mjd, dtype=np.float64)).astype("timedelta64[D]")
    return [text.replace("-", "") for text in np.datetime_as_string(days).tolist()]
