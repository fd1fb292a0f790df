"""An alert as it lies in an archive, ready to be sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fink_broker.alert.packet import Record, write_packet
from fink_broker.alert.schema import Schema
from fink_broker.alert.survey import ZTF
from fink_broker.errors import DataError


@dataclass(frozen=True)
class StoredAlert:
    """An alert and how it is written.

    Parameters
    ----------
    record : dict
        The alert.
    schema : dict
        The Avro schema it is written with.
    raw : bytes, optional
        The packet as it was sent; None if there is none, or if the alert has been changed since.

    Raises
    ------
    DataError
        If it has no objectId, no candid, or no exposure time a survey can have.
    """

    record: Record
    schema: Schema
    raw: bytes | None = None

    def __post_init__(self) -> None:
        candidate = self.record.get("candidate")
        lacking = [name for name in ("objectId", "candid") if self.record.get(name) is None]
        jd = candidate.get("jd") if isinstance(candidate, dict) else None
        if lacking or not isinstance(jd, float):
            raise DataError(f"It is no alert: no {', '.join([*lacking, 'candidate.jd'][:2])}.")
        if not (math.isfinite(jd) and ZTF.jd_first <= jd < ZTF.jd_last):
            raise DataError(f"Its exposure time cannot be: jd {jd}.")

    @property
    def jd(self) -> float:
        """Exposure time (jd, days)."""
        return float(self.record["candidate"]["jd"])

    def packet(self) -> bytes:
        """Return the packet: as it was sent, if there is that, else written anew.

        Raises
        ------
        DataError
            If the alert does not fit its schema.
        """
        return self.raw if self.raw is not None else write_packet(self.record, self.schema)
