"""An archive with something to look at: the real alerts, and synthetic objects that were alerted at every detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from archived import empty_archive, fill, raw_rows, science_rows, store_science
from expected_science import production_config

from fink_broker.archive import columns
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.statistics import by_night, record_key
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.archive.reading import read_rows
from fink_broker.archive.table import AlertTable
from fink_broker.config.model import QualityConfig
from fink_broker.science.registry import build_pipeline
from fink_broker.simulate.sky import synthetic_alerts
from fink_broker.stream.enrich import enrich, failed_cut

NIGHT = "20240901"
#: which synthetic objects, and how many of each
KINDS = {"SN Ia": 6, "SN II": 3, "RR Lyrae": 6, "eclipsing binary": 4, "AGN": 4, "microlensing": 3, "asteroid": 4}


def fill_web_archive(archive: Archive, shared_data: Path, folder: Path) -> pa.Table:
    """Bring an archive with tables all alerts, their images to the science table at a folder; return the rows."""
    parts = [science_rows(shared_data, retimed=True), synthetic_rows(shared_data)]
    rows = pa.concat_tables(parts, promote_options="default")
    table = AlertTable(str(folder))
    for file in store_science(table, rows):
        for some in read_rows(table, file, rows=100_000):
            fill(archive, some, file.path)
    nights = by_night(columns.publish(rows))
    archive.put_records(STATISTICS, [(record_key(night), tally.record()) for night, tally in nights.items()])
    return rows


def web_archive(shared_data: Path, folder: Path) -> Archive:
    """Return such an archive of memory."""
    archive = empty_archive()
    fill_web_archive(archive, shared_data, folder)
    return archive


def synthetic_rows(shared_data: Path) -> pa.Table:
    """Return the synthetic alerts as the science table has them; made once a process."""
    return _synthetic_rows(str(shared_data))


@lru_cache(maxsize=1)
def _synthetic_rows(shared_data: str) -> pa.Table:
    chosen: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS}
    for packet, truth in synthetic_alerts(3000, seed=7, night=NIGHT):
        kept = chosen.get(truth.true_class)
        seen = sum(1 for entry in packet["prv_candidates"] or [] if entry["magpsf"] is not None)
        if kept is not None and len(kept) < KINDS[truth.true_class] and (seen >= 5 or truth.true_class == "asteroid"):
            kept.append(packet)
    packets = [each for kept in chosen.values() for packet in kept for each in alerted_always(packet)]
    raw = raw_rows(packets, topic=f"ztf_{NIGHT}_programid1")
    good = raw.filter(pc.is_null(failed_cut(raw, QualityConfig())))
    return enrich(good, build_pipeline(production_config(Path(shared_data))))


def alerted_always(packet: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the packets an object had if every detection of its history was alerted, and its packet last."""
    history = sorted(packet["prv_candidates"] or [], key=lambda entry: entry["jd"])
    for number, entry in enumerate(history):
        if entry["magpsf"] is None or entry["candid"] is None:
            continue
        known = {name: value for name, value in entry.items() if name in packet["candidate"] and value is not None}
        candidate = {**packet["candidate"], **known}
        yield {**packet, "candid": entry["candid"], "candidate": candidate, "prv_candidates": history[:number]}
    yield dict(packet)
