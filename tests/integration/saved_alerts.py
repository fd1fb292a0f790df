"""What fink-client saved, read again and held against what was sent or stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro


def saved_alerts(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the alerts fink-client saved, by candid; the names of files must be those users know."""
    alerts = {}
    for path in sorted(folder.glob("*.avro")):
        with path.open("rb") as file:
            (alert,) = fastavro.reader(file)
        assert path.name == f"{alert['objectId']}_{alert['candid']}.avro"
        alerts[alert["candid"]] = alert
    return alerts


def seconds_between(moment: str, jd: float) -> float:
    """Return by how many seconds a time in words (UTC) differs from a jd (days)."""
    unix_seconds = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    return abs(unix_seconds - (jd - 2440587.5) * 86400)


def differences(saved: Any, stored: Any, where: str = "") -> list[str]:
    """Return where a saved alert and a row of the science table differ, value by value.

    Parameters
    ----------
    saved : Any
        From an Avro file.
    stored : Any
        From Parquet, as Arrow gives it: maps are lists of pairs, times have a zone.
    where : str
        Path of this value in the alert.
    """
    if isinstance(stored, dict) and isinstance(saved, dict):
        found = [f"{where}.{name} is only stored" for name in stored.keys() - saved.keys()]
        found += [f"{where}.{name} is only sent" for name in saved.keys() - stored.keys()]
        for name in stored.keys() & saved.keys():
            found += differences(saved[name], stored[name], f"{where}.{name}" if where else name)
        return sorted(found)
    if isinstance(stored, list) and isinstance(saved, dict):
        return differences(saved, dict(stored), where)
    if isinstance(stored, list) and isinstance(saved, list):
        if len(stored) != len(saved):
            return [f"{where} has {len(saved)} elements, stored are {len(stored)}"]
        pairs = enumerate(zip(saved, stored, strict=True))
        return [text for number, (a, b) in pairs for text in differences(a, b, f"{where}[{number}]")]
    return [] if _same(saved, stored) else [f"{where} is {saved!r:.80}, stored is {stored!r:.80}"]


def _same(saved: Any, stored: Any) -> bool:
    if isinstance(stored, datetime) and isinstance(saved, str):
        in_zone = stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)
        return datetime.fromisoformat(saved).replace(tzinfo=UTC) == in_zone
    if isinstance(stored, float) and isinstance(saved, float) and math.isnan(stored):
        return math.isnan(saved)
    return type(saved) is type(stored) and saved == stored
