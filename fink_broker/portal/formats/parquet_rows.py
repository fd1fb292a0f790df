"""Rows as Parquet, a row group at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq


class _Drain(io.RawIOBase):
    """A file whose content is taken away as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def parquet_pieces(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """Give the rows of tables as one Parquet file."""
    drain = _Drain()
    writer: pq.ParquetWriter | None = None
    for table in tables:
        if writer is None:
            writer = pq.ParquetWriter(drain, _without_nulls(table.schema), compression="zstd", compression_level=1)
        writer.write_table(table.cast(writer.schema))
        yield drain.take()
    if writer is not None:
        writer.close()
        yield drain.take()


def _without_nulls(schema: pa.Schema) -> pa.Schema:
    """Return the schema with texts in place of columns that are null throughout: not every reader knows those."""
    return pa.schema([field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema])
