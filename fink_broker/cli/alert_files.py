"""Alerts of a file or folder as batches for the science modules."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.batch import struct_from_packets
from fink_broker.alert.table import struct_from_table
from fink_broker.errors import DataError
from fink_broker.science.registry import Pipeline
from fink_broker.simulate.sources import SYNTHETIC, Say, find_files, open_source

#: Alerts in a batch.
BATCH = 500
#: Alerts of a synthetic sky, if no limit is given.
SYNTHETIC_ALERTS = 1000


def batches(path: Path, pipeline: Pipeline, say: Say, limit: int = 0) -> Iterator[pa.StructArray]:
    """Yield the alerts of a file or folder, with the fields a pipeline needs and ``objectId``, in batches.

    Parameters
    ----------
    path : pathlib.Path
        Parquet or Avro file, archive, or folder of them, or ``synthetic``.
    pipeline : Pipeline
        Says which fields.
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
    for batch in _from_parquet(files, pipeline) if tables else _from_packets(path, pipeline, say, limit):
        some = batch if left is None else batch.slice(0, left)
        yield some
        found = found or len(some) > 0
        if left is not None:
            left -= len(some)
            if not left:
                return
    if not found:
        raise DataError(f"There is no alert in {path}.", "Name a Parquet or Avro file of alerts, or say synthetic.")


def _root(pipeline: Pipeline) -> list[str]:
    return sorted({"objectId", *pipeline.root_fields})


def _from_parquet(files: Iterable[Path], pipeline: Pipeline) -> Iterator[pa.StructArray]:
    fields = (_root(pipeline), pipeline.candidate_fields, pipeline.history_fields, list(pipeline.cutouts))
    images = [f"cutout{name}" for name in pipeline.cutouts]
    for file in files:
        try:
            stored = pq.ParquetFile(file)
            wanted = [*_root(pipeline), "candidate", "prv_candidates", *images]
            names = [name for name in wanted if name in stored.schema_arrow.names]
            for record_batch in stored.iter_batches(batch_size=BATCH, columns=names):
                yield struct_from_table(pa.Table.from_batches([record_batch]), *fields)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file} cannot be read: {error}.") from error


def _from_packets(path: Path, pipeline: Pipeline, say: Say, limit: int) -> Iterator[pa.StructArray]:
    fields = (_root(pipeline), pipeline.candidate_fields, pipeline.history_fields)
    alerts = open_source(str(path), say, synthetic_count=limit or SYNTHETIC_ALERTS, seed=0).alerts()
    while some := list(itertools.islice(alerts, BATCH)):
        yield struct_from_packets([alert.record for alert in some], *fields, cutouts=list(pipeline.cutouts))
