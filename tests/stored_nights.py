"""A broker's tables as its jobs would fill them, from packets, without Spark or Kafka: for tests of what follows."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.promised import promised_schema
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline
from fink_broker.stream.enrich import enrich, failed_cut

NIGHT = "20231018"
_ORIGIN = pa.struct(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", "UTC")),
    ]
)


def raw_alerts(packets: Sequence[bytes], config: Config) -> pa.Table:
    """Return packets as rows of the raw table."""
    records = [record for packet in packets for record in fastavro.reader(io.BytesIO(packet))]
    return raw_rows(records, config)


def raw_rows(records: Sequence[dict[str, Any]], config: Config) -> pa.Table:
    """Return decoded packets as rows of the raw table."""
    no_science = config.science.model_copy(update={"modules": [], "user_modules": []})
    promised = promised_schema(config.model_copy(update={"science": no_science}))
    names = [name for name in promised.names if any(name in record for record in records)]
    schema = pa.schema([promised.field(name) for name in names])
    raw = pa.Table.from_pylist([{name: record.get(name) for name in names} for record in records], schema)
    now = datetime.now(UTC)
    origin = {"topic": "ztf_20231018_programid1", "partition": 0, "offset": 0, "timestamp": now}
    raw = raw.append_column("origin", pa.repeat(pa.scalar(origin, _ORIGIN), len(raw)))
    return raw.append_column("brokerIngestTimestamp", pa.repeat(pa.scalar(now, _ORIGIN.field(3).type), len(raw)))


class Stored:
    """The tables of a broker.

    Parameters
    ----------
    config : Config
        With ``storage.online`` a local folder.
    """

    def __init__(self, config: Config) -> None:
        layout = Layout(config.storage.online)
        self.config = config
        self.raw, self.science, self.topics = (AlertTable(layout.table(name)) for name in ("raw", "science", "topics"))
        self.pipeline = build_pipeline(config)

    def add(self, name: str, raw: pa.Table, night: str = NIGHT, files: int = 2) -> None:
        """Take a batch of raw alerts through all tables; every seventh alert passes a topic."""
        self.add_raw(name, raw, night, files)
        science = self.add_science(name, raw, night, files)
        self.add_topics(name, science, night)

    def add_raw(self, name: str, raw: pa.Table, night: str = NIGHT, files: int = 2) -> None:
        """Commit a batch of raw alerts."""
        commit(self.raw, f"r-{name}", [], raw, {"in": len(raw), "out": len(raw)}, night, files)

    def add_science(self, name: str, raw: pa.Table, night: str = NIGHT, files: int = 2) -> pa.Table:
        """Cut, classify and commit a batch of raw alerts; return the science alerts."""
        cut = failed_cut(raw, self.config.quality)
        science = enrich(raw.filter(pc.is_null(cut)), self.pipeline)
        cuts = {entry["values"]: entry["counts"] for entry in pc.value_counts(cut.drop_null()).to_pylist()}
        counts = {"in": len(raw), "out": len(science), "cut": sum(cuts.values())}
        commit(self.science, f"s-{name}", [f"r-{name}"], science, counts, night, files, cuts=cuts, failed={})
        return science

    def add_topics(self, name: str, science: pa.Table, night: str = NIGHT) -> None:
        """Commit what filters said of a batch of science alerts."""
        passed = [["vra"] if number % 7 == 0 else [] for number in range(len(science))]
        names = pa.list_(pa.string())
        said = pa.table(
            {
                "candid": science["candid"],
                "objectId": science["objectId"],
                "judged": pa.array([["vra"]] * len(science), names),
                "topics": pa.array(passed, names),
                "failed": pa.array([[]] * len(science), names),
            }
        )
        counts = {"in": len(said), "out": len(said)}
        commit(self.topics, f"t-{name}", [f"s-{name}"], said, counts, night, 1, filters={"vra": {"identity": name}})


def commit(
    table: AlertTable,
    commit_id: str,
    inputs: list[str],
    rows: pa.Table,
    counts: dict[str, int],
    night: str = NIGHT,
    files: int = 1,
    **details: Any,
) -> None:
    """Commit rows of one night as a batch of a table, in some files."""
    table.create()
    folder = Path(table.staging(commit_id)) / f"night={night}"
    folder.mkdir(parents=True)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), files)):
        if len(part):
            pq.write_table(rows.take(pa.array(part)), folder / f"part-{number}.parquet", use_dictionary=False)
    now = time.time()
    table.commit(Commit(commit_id, inputs, table.publish(commit_id), counts, now, now, details))
