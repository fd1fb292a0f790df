"""The true class of synthetic alerts, kept aside from the packets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_SCHEMA = pa.schema(
    [
        ("candid", pa.int64()),
        ("objectId", pa.string()),
        ("true_class", pa.string()),
        ("parameters", pa.map_(pa.string(), pa.float64())),
    ]
)
_CHUNK = 10_000


@dataclass(frozen=True)
class Truth:
    """What an alert really is.

    Parameters
    ----------
    candid : int
        The alert.
    objectId : str
        Its object.
    true_class : str
        Name of the model, a key of `DEFAULT_WEIGHTS`.
    parameters : dict of str to float
        The model's parameters: times in jd (days), magnitudes AB.
    """

    candid: int
    objectId: str
    true_class: str
    parameters: dict[str, float]


def write_truth(path: Path | str, truths: Iterable[Truth]) -> int:
    """Write truths to a Parquet file and return how many (columns candid, objectId, true_class, parameters)."""
    count = 0
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        batch: list[Truth] = []
        for truth in truths:
            batch.append(truth)
            if len(batch) == _CHUNK:
                count += _write(writer, batch)
                batch = []
        count += _write(writer, batch)
    return count


def _write(writer: pq.ParquetWriter, batch: list[Truth]) -> int:
    columns = [
        [t.candid for t in batch],
        [t.objectId for t in batch],
        [t.true_class for t in batch],
        [list(t.parameters.items()) for t in batch],
    ]
    arrays = [pa.array(values, type=kind.type) for values, kind in zip(columns, _SCHEMA, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
    return len(batch)
