"""Alerts that the broker's own distribution put on two topics, and what a TOM that read them must hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from distributing import commit_by_hand, decode, distributing, read_topic
from expected_topics import science_table
from pipeline import total, until

from fink_broker.config.model import Config, DistributionConfig, FiltersConfig, StorageConfig

#: a filter of the broker, and a topic of a user; some objects are on both
BUILT_IN, USERS = "early_sn_candidates", "nineteen"
_RULE = """
[[topic]]
name = "nineteen"
owner = "jane@example.org"
description = "Alerts of a magnitude."
version = "1"
rule = "magpsf > 19 and magpsf < 19.1"
output = "full"
"""
_BANDS = {1: "g", 2: "r", 3: "i"}

Alert = dict[str, Any]
#: time (ms since 1970), band, magnitude or limit; to 0.1 mmag
Exposure = tuple[int, str, float | None, float | None]


@dataclass(frozen=True)
class Sent:
    """What stands on two topics.

    Parameters
    ----------
    topics : dict
        The alerts by topic.
    """

    topics: dict[str, list[Alert]]

    @property
    def alerts(self) -> dict[str, list[Alert]]:
        """The alerts by object."""
        found: dict[str, list[Alert]] = {}
        for alert in (alert for alerts in self.topics.values() for alert in alerts):
            found.setdefault(alert["objectId"], []).append(alert)
        return found

    def lists(self) -> dict[str, list[str]]:
        """Return the objects each topic's list must hold."""
        return {topic: sorted({alert["objectId"] for alert in alerts}) for topic, alerts in self.topics.items()}


def distribute(servers: str, folder: Path, shared_data: Path, unpacked: Callable[..., list[bytes]]) -> Sent:
    """Let the distribution fill two topics with real alerts of a night, with the times they really had."""
    (folder / "topics.toml").write_text(_RULE)
    config = Config(
        storage=StorageConfig(online=str(folder / "online"), state=folder / "state"),
        distribution=DistributionConfig(
            servers=servers, prefix=f"fink_{uuid.uuid4().hex[:6]}_", partitions=3, topics=[BUILT_IN]
        ),
        filters=FiltersConfig(sdss="none", file=str(folder / "topics.toml")),
    )
    rows = science_table(shared_data, unpacked, "20231018_retimed")
    origin = {"topic": "t", "partition": 0, "offset": 0, "timestamp": datetime.now(UTC)}
    rows = rows.append_column("origin", pa.array([origin] * len(rows)))
    with distributing(config) as (job, _):
        commit_by_hand(job.science, "made-by-hand", rows)
        until(lambda: total(job.topics, "in") == len(rows), "all alerts are distributed")
        names = [job.topic(name) for name in (BUILT_IN, USERS)]
    sent = Sent({name: [decode(message) for message in read_topic(servers, name)] for name in names})
    one, other = (set(objects) for objects in sent.lists().values())
    assert min(map(len, sent.topics.values())) > 15
    assert one & other
    return sent


def light_curve(alerts: Sequence[Alert]) -> dict[Exposure, set[float | None]]:
    """Return what packets tell of their object: detections, and limits where there is none, with the errors told."""
    found: dict[Exposure, set[float | None]] = {}
    for row in (row for alert in alerts for row in (alert["candidate"], *(alert["prv_candidates"] or []))):
        magnitude, error, limit = (as_kept(row.get(name)) for name in ("magpsf", "sigmapsf", "diffmaglim"))
        if limit is None or limit <= 0:
            continue
        exposure = (milliseconds(row["jd"]), _BANDS[row["fid"]], magnitude, limit if magnitude is None else None)
        found.setdefault(exposure, set()).add(error)
    return found


def milliseconds(jd: float) -> int:
    """Return a Julian date (d, UTC) as milliseconds since 1970; a double holds it to 0.04 ms."""
    return round((jd - 2440587.5) * 86400e3)


def as_kept(value: float | None) -> float | None:
    """Return a magnitude as the module keeps it: history may hold fewer digits than the alert itself."""
    return None if value is None else round(value, 4)
