"""What of an alert is told: a handful of named values, taken from a message and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fink_broker.alert.packet import read_datum
from fink_broker.alert.schema import Schema, parse
from fink_broker.alert.survey import JD_UNIX_EPOCH
from fink_broker.errors import DataError

Record = dict[str, Any]
Value = str | int | float | None

#: ZTF filter ids
BANDS = {1: "g", 2: "r", 3: "i"}
#: Texts of an alert are cut here: they come from outside.
LONGEST_VALUE = 200


@dataclass(frozen=True)
class Field:
    """One value that can be told.

    Parameters
    ----------
    name : str
        As templates and JSON have it.
    meaning : str
        What it is, with its unit.
    digits : int or None
        Digits after the point where it is put into words; None: as it is.
    """

    name: str
    meaning: str
    digits: int | None = None


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("objectId", "the object"),
        Field("candid", "the alert"),
        Field("topic", "the Kafka topic, such as fink_sn_candidates_ztf"),
        Field("filter", "the name of the filter"),
        Field("magpsf", "magnitude of the difference image (AB mag)", 2),
        Field("sigmapsf", "its 1-sigma error (mag)", 2),
        Field("fid", "filter id: 1, 2, 3"),
        Field("band", "its letter: g, r, i"),
        Field("ra", "right ascension, J2000 (deg)", 5),
        Field("dec", "declination, J2000 (deg)", 5),
        Field("jd", "time of the exposure (Julian date, UTC)", 5),
        Field("time", "the same as year-month-day hours:minutes:seconds (UTC)"),
        Field("finkclass", "class of the alert"),
        Field("cdsxmatch", "SIMBAD type at its position"),
        Field("tns", "type in the Transient Name Server"),
        Field("rb", "real-bogus score", 2),
        Field("drb", "real-bogus score of the deep network", 2),
        Field("ndethist", "detections at this position so far"),
        Field("link", "its page on the portal: the webhook's link, a slash, objectId"),
    )
}


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert on a topic, as far as it is told.

    Parameters
    ----------
    topic : str
        Kafka topic.
    partition, offset : int
        Where in the topic it stands.
    sent : float or None
        When the broker sent it (seconds since 1970), None if Kafka does not know.
    values : dict
        By the names of `FIELDS` without ``link``; None for what is missing.
    """

    topic: str
    partition: int
    offset: int
    sent: float | None
    values: dict[str, Value]

    @property
    def identity(self) -> str:
        """What tells it from all others, and a repeat of it not."""
        return f"{self.topic} {self.values['candid'] or f'{self.partition}:{self.offset}'}"


def read_notice(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    *,
    place: tuple[str, int, int],
    sent: float | None,
) -> Notice:
    """Read a message of an output topic.

    Parameters
    ----------
    key : bytes or None
        JSON text of the Avro schema.
    value : bytes or None
        One bare Avro datum.
    headers : sequence of (str, bytes)
        Of the message; ``candid``, ``objectId`` and ``filter`` are used.
    place : (str, int, int)
        Topic, partition, offset.
    sent : float or None
        When it was sent (seconds since 1970).

    Raises
    ------
    DataError
        If it cannot be decoded.
    """
    if not key or not value:
        raise DataError("The message has no key or no value.")
    record = read_datum(value, _schema(key))
    found = header_texts(headers)
    values = {name: take(record) for name, take in _TAKEN.items()}
    for name in ("candid", "objectId"):
        values[name] = found.get(name) or values[name]
    values |= {"topic": place[0], "filter": found.get("filter") or place[0]}
    return Notice(*place, sent, values)


def header_texts(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return the headers of a message as texts, cut to a sensible length."""
    return {name: value.decode("utf-8", "replace")[:LONGEST_VALUE] for name, value in headers if value}


@lru_cache(maxsize=16)
def _schema(key: bytes) -> Schema:
    try:
        return parse(key)
    except RecursionError:
        raise DataError("The key of the message is nested too deep.") from None


def _text(value: object) -> str | None:
    return str(value)[:LONGEST_VALUE] if isinstance(value, str | int) and value != "" else None


def _number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _candidate_of(record: Record) -> Record:
    found = record.get("candidate")
    return found if isinstance(found, dict) else {}


def _candidate(name: str, read: Callable[[object], Value]) -> Callable[[Record], Value]:
    return lambda record: read(_candidate_of(record).get(name))


def _root(name: str, read: Callable[[object], Value]) -> Callable[[Record], Value]:
    return lambda record: read(record.get(name))


def _band(record: Record) -> Value:
    return BANDS.get(_whole(_candidate_of(record).get("fid")) or 0)


def _time(record: Record) -> Value:
    jd = _number(_candidate_of(record).get("jd"))
    try:
        return jd and datetime.fromtimestamp((jd - JD_UNIX_EPOCH) * 86400.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a time no calendar has
        return None


_TAKEN: dict[str, Callable[[Record], Value]] = {
    "objectId": _root("objectId", _text),
    "candid": _root("candid", _text),
    **{name: _candidate(name, _number) for name in ("magpsf", "sigmapsf", "ra", "dec", "jd", "rb", "drb")},
    **{name: _candidate(name, _whole) for name in ("fid", "ndethist")},
    **{name: _root(name, _text) for name in ("finkclass", "cdsxmatch", "tns")},
    "band": _band,
    "time": _time,
}
