"""What tests of the SkyPortal client post: made-up candidates, and a client that is in no hurry to give up."""

from __future__ import annotations

import base64
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from fink_skyportal import api as api_module
from fink_skyportal.api import SkyPortal
from fink_skyportal.candidate import Candidate, Classification, PhotometryRow
from fink_skyportal.pace import Pace
from fink_skyportal.premises import Premises, Wanted, prepare
from skyportal_server import SkyPortalServer

TOPIC = "fink_sn_candidates_ztf"
OTHER_TOPIC = "fink_kn_candidates_ztf"
JD = 2460236.8
_JD_OF_2023_10_19 = 2460236.5


def png(side: int = 16) -> str:
    """Return a black square of so many pixels a side, PNG in base64."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (side + 1) * side)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(image).decode()


def row(mjd: float, flux: float | None = 30.0, fluxerr: float = 2.0) -> PhotometryRow:
    """Return a point of a light curve."""
    return PhotometryRow(mjd, "ztfg", None, None, 20.5, 10.0, 20.0, flux, fluxerr)


def candidate(object_id: str = "ZTF23aaaaaaa", day: int = 0, **changes: Any) -> Candidate:
    """Return a candidate of an object, exposed some days after the first; other fields as given."""
    jd = JD + day
    fields: dict[str, Any] = {
        "object_id": object_id,
        "candid": 2487123456715015000 + day,
        "ra": 10.0,
        "dec": 20.0,
        "passed_at": (datetime(2023, 10, 19) + timedelta(days=jd - _JD_OF_2023_10_19)).isoformat(),
        "topic": TOPIC,
        "instrument": "ZTF",
        "photometry": tuple(row(60236.3 + number) for number in range(day + 2)),
        "annotation": {"topic": TOPIC, "nalerthist": day + 2, "obstime (jd)": jd},
        "classification": Classification("SN candidate", None),
        "thumbnails": lambda: {kind: png() for kind in ("new", "ref", "sub")},
    }
    return Candidate(**(fields | changes))


@contextmanager
def client(
    server: SkyPortalServer,
    *,
    token: str = "",
    stop: threading.Event | None = None,
    pace: Pace | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[SkyPortal]:
    """Give a client of a server; its requests are not limited unless a pace is given."""
    with SkyPortal(server.url, token or server.token, pace or Pace(None), stop or threading.Event(), say) as api:
        yield api


def premises_of(api: SkyPortal) -> Premises:
    """Return the premises of two topics."""
    return prepare(api, Wanted.microservice([TOPIC, OTHER_TOPIC]))


def without_pauses(monkeypatch: Any) -> None:
    """Let a client repeat requests after milliseconds."""
    monkeypatch.setattr(api_module, "PAUSES_SECONDS", (0.001,) * 5)
    monkeypatch.setattr(api_module, "LATER_SECONDS", 0.002)
