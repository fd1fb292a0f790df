"""Alerts of a file or folder as batches for the science modules."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.batch import CUTOUT, struct_from_packets
from fink_broker.alert.table import struct_from_table
from fink_broker.errors import DataError
from fink_broker.science.registry import Pipeline
from fink_broker.simulate.sources import SYNTHETIC, Say, find_files, open_source

#: Alerts in a batch.
BATCH = 500
#: Alerts of a synthetic sky, if no limit is given.
SYNTHETIC_ALERTS = 1000


@dataclass(frozen=True)
class Fields:
    """What is wanted of alerts: root fields, fields of ``candidate`` and of ``prv_candidates``, and images."""

    root: list[str]
    candidate: list[str]
    history: list[str] = field(default_factory=list)
    cutouts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, pipeline: Pipeline, history: Iterable[str] = ()) -> Fields:
        """Return what a pipeline needs, ``objectId``, and further fields of light curves."""
        points = sorted({*pipeline.history_fields, *history})
        root = sorted({"objectId", *pipeline.root_fields})
        return cls(root, sorted({*pipeline.candidate_fields, *points}), points, pipeline.cutouts)

    def of_packets(self, packets: Sequence[Mapping[str, Any]]) -> pa.StructArray:
        """Return decoded packets as a batch."""
        return struct_from_packets(packets, self.root, self.candidate, self.history, self.cutouts)

    def of_table(self, table: pa.Table) -> pa.StructArray:
        """Return rows of a table as a batch."""
        return struct_from_table(table, self.root, self.candidate, self.history, self.cutouts)


def batches(path: Path, fields: Fields, say: Say, limit: int = 0) -> Iterator[pa.StructArray]:
    """Yield the alerts of a file or folder in batches.

    Parameters
    ----------
    path : pathlib.Path
        Parquet or Avro file, archive, or folder of them, or ``synthetic``.
    fields : Fields
        What is wanted of them.
    say : callable
        Told of files that are passed over.
    limit : int
        At most so many alerts; 0: all.

    Raises
    ------
    DataError
        If there is no alert.
    """
    if not path.exists() and str(path) != SYNTHETIC:
        raise DataError(
            f"There is no file or folder {path}.", "Name a Parquet or Avro file of alerts, or say synthetic."
        )
    files = find_files(path)
    tables = bool(files) and all(file.suffix.lower() == ".parquet" for file in files)
    left = limit or None
    found = False
    for batch in _from_parquet(files, fields) if tables else _from_packets(path, fields, say, limit):
        some = batch if left is None else batch.slice(0, left)
        yield some
        found = found or len(some) > 0
        if left is not None:
            left -= len(some)
            if not left:
                return
    if not found:
        raise DataError(f"There is no alert in {path}.", "Name a Parquet or Avro file of alerts, or say synthetic.")


def _from_parquet(files: Iterable[Path], fields: Fields) -> Iterator[pa.StructArray]:
    wanted = [*fields.root, "candidate", "prv_candidates", *(CUTOUT + name for name in fields.cutouts)]
    for file in files:
        try:
            stored = pq.ParquetFile(file)
            names = [name for name in wanted if name in stored.schema_arrow.names]
            for record_batch in stored.iter_batches(batch_size=BATCH, columns=names):
                yield fields.of_table(pa.Table.from_batches([record_batch]))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file} cannot be read: {error}.") from error


def _from_packets(path: Path, fields: Fields, say: Say, limit: int) -> Iterator[pa.StructArray]:
    alerts = open_source(str(path), say, synthetic_count=limit or SYNTHETIC_ALERTS, seed=0).alerts()
    while some := list(itertools.islice(alerts, BATCH)):
        yield fields.of_packets([alert.record for alert in some])
