"""A contract server with everything an alert needs, and questions to it without a network between."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

from skyportal_server import SkyPortalServer

AT = "2023-10-18T06:00:00"
HIERARCHY = {
    "class": "Fink Taxonomy",
    "subclasses": [{"class": "SN candidate", "other names": ["(SIMBAD) SN"]}, {"class": "Kilonova candidate"}],
}


def png(width: int, height: int) -> str:
    """Return a grey PNG image in base64."""
    pixels = zlib.compress(bytes((width + 1) * height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


class Portal:
    """A server with a stream, a group, a filter, a taxonomy and a source."""

    def __init__(self) -> None:
        self.server = SkyPortalServer()
        self.stream = self.ok("POST /api/streams", {"name": "Fink"})["id"]
        self.group = self.ok("POST /api/groups", {"name": "Fink"})["id"]
        self.filter = self.ok(
            "POST /api/filters", {"name": "fink_sn", "stream_id": self.stream, "group_id": self.group}
        )["id"]
        self.taxonomy = self.ok("POST /api/taxonomy", {"name": "Fink", "version": "1", "hierarchy": HIERARCHY})[
            "taxonomy_id"
        ]
        rows = self.ok("GET /api/instrument")
        self.instrument = next(row["id"] for row in rows if row["name"] == "ZTF")
        self.ok("POST /api/sources", {"id": "ZTF1", "ra": 10.0, "dec": -5.0})

    def ask(self, call: str, body: dict | None = None, by: str | None = "") -> tuple[int, Any]:
        """Return status, and data or message."""
        token = self.server.token if by == "" else by
        method, path = call.split()
        status, _, content = self.server.answer(method, path, token, json.dumps(body).encode() if body else b"")
        answer = json.loads(content)
        assert answer["status"] == ("success" if status == 200 else "error")
        return status, answer["data"] if status == 200 else answer["message"]

    def ok(self, call: str, body: dict | None = None) -> Any:
        status, data = self.ask(call, body)
        assert status == 200, data
        return data

    def candidate(self, **more: Any) -> dict[str, Any]:
        return {"id": "ZTF2", "ra": 10, "dec": 5, "filter_ids": [self.filter], "passed_at": AT, **more}

    def flux(self, **more: Any) -> dict[str, Any]:
        common = {"obj_id": "ZTF1", "mjd": [60000.1, 60001.1], "instrument_id": self.instrument, "magsys": "ab"}
        return {**common, "filter": "ztfg", "flux": [-12.5, None], "fluxerr": [1.0, 2.0], "zp": 23.9, **more}

    def magnitude(self, **more: Any) -> dict[str, Any]:
        body = {name: value for name, value in self.flux().items() if name not in ("flux", "fluxerr", "zp")}
        return {**body, "mag": [19.0, None], "magerr": [0.1, None], "limiting_mag": [20.5, 20.4], **more}

    def classification(self, **more: Any) -> dict[str, Any]:
        return {"obj_id": "ZTF1", "classification": "SN candidate", "taxonomy_id": self.taxonomy, **more}
