"""What of an alert a transfer carries: columns of the archive, and those that downloads are sorted into folders by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.survey import JD_UNIX_EPOCH
from fink_broker.alert.wire_columns import time_text
from fink_broker.errors import ConfigError
from fink_broker.filters.names import near_names
from fink_broker.filters.view import all_paths
from fink_broker.stream.columns import ALWAYS, LEFT_OUT, PRIVATE
from fink_broker.stream.transfer.schemas import JoinedSchema, conform
from fink_broker.stream.transfer.selection import Selection

#: Columns added to each alert unless the archive has them: the exposure as time and as date, the classes of Fink and of
#: the TNS, the tracklet.
ADDED = {
    "tracklet": pa.string(),
    "timestamp": pa.string(),
    "year": pa.int32(),
    "month": pa.int32(),
    "day": pa.int32(),
    "finkclass": pa.string(),
    "tnsclass": pa.string(),
}
TNS, NOT_IN_TNS = "tns", "Unknown"


class Content:
    """What is sent of alerts.

    Parameters
    ----------
    selection : Selection
        Names columns, or one of the usual sets of them.
    joined : JoinedSchema
        What the archive holds.

    Attributes
    ----------
    stored : pyarrow.Schema
        Columns taken from the archive.
    schema : pyarrow.Schema
        What is sent: those, then the added ones.

    Raises
    ------
    ConfigError
        If a column is not there; the hint helps on.
    DataError
        If a column has no one type.
    """

    def __init__(self, selection: Selection, joined: JoinedSchema) -> None:
        public = pa.schema([field for field in joined.schema if field.name not in PRIVATE])
        missing = [name for name in ALWAYS if name not in public.names]
        joined.check(ALWAYS)
        if missing:
            raise ConfigError(f"The archive lacks the column '{missing[0]}'.", "Is it a science table of alerts?")
        if selection.columns:
            joined.check([path.partition(".")[0] for path in selection.columns])
            self.stored = _chosen(public, selection.columns)
        else:
            out = LEFT_OUT[selection.output]
            joined.check([name for name in joined.differing if name not in (*PRIVATE, *out)])
            self.stored = pa.schema([field for field in public if field.name not in out])
        self._needed = self.stored
        if TNS in public.names and TNS not in self.stored.names:
            self._needed = self._needed.append(public.field(TNS))
        if "finkclass" in public.names and "finkclass" not in self.stored.names:
            self.stored = self.stored.append(public.field("finkclass"))
            self._needed = self._needed.append(public.field("finkclass"))
        self.added = [name for name in ADDED if name not in self.stored.names]
        fields = [pa.field(name, kind) for name, kind in ADDED.items() if name in self.added]
        self.schema = pa.schema([*self.stored, *fields])

    @property
    def paths(self) -> list[str]:
        """Columns to read."""
        return all_paths(self._needed)

    def pack(self, rows: pa.Table, tracklets: Mapping[int, str]) -> pa.Table:
        """Return rows of the archive as they are sent.

        Parameters
        ----------
        rows : pyarrow.Table
            Of one file.
        tracklets : mapping
            Names of tracklets by candid, for alerts that belong to one.
        """
        table = conform(rows, self._needed)
        columns = {name: table[name] for name in self.stored.names}
        columns |= {name: column for name, column in _dates(table).items() if name in self.added}
        if "tracklet" in self.added:
            columns["tracklet"] = pa.array([tracklets.get(one, "") for one in table["candid"].to_pylist()], pa.string())
        if "finkclass" in self.added:
            columns["finkclass"] = pa.nulls(len(table), pa.string())
        if "tnsclass" in self.added:
            known = TNS in table.column_names
            columns["tnsclass"] = pc.fill_null(table[TNS], NOT_IN_TNS) if known else pa.repeat(NOT_IN_TNS, len(table))
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)


def _chosen(schema: pa.Schema, paths: tuple[str, ...]) -> pa.Schema:
    """Return the part of a schema that some paths name, with what always goes along, in the order of the schema."""
    known = list(dict.fromkeys([*schema.names, *all_paths(schema)]))
    for path in paths:
        if path not in known:
            raise ConfigError(f"Alerts have no column '{path}'.", near_names(path, known, "columns"))
    whole = {*ALWAYS, *(path for path in paths if "." not in path)}
    fields = []
    for field in schema:
        if field.name in whole:
            fields.append(field)
        elif members := [path.partition(".")[2] for path in paths if path.startswith(f"{field.name}.")]:
            fields.append(pa.field(field.name, _narrowed(field.type, set(members))))
    return pa.schema(fields)


def _narrowed(kind: pa.DataType, members: set[str]) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_narrowed(kind.value_type, members))
    return pa.struct([field for field in kind if field.name in members])


def _dates(table: pa.Table) -> dict[str, pa.Array]:
    """Return time and date (UTC) of the exposures; null where the jd is missing or beyond the calendar."""
    jd = pc.struct_field(table["candidate"].combine_chunks(), "jd")
    days = np.asarray(pc.cast(jd, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64) - JD_UNIX_EPOCH
    with np.errstate(invalid="ignore"):
        unknown = ~(np.abs(days) < 700_000)  # years 53 to 3886
    microseconds = (np.where(unknown, 0.0, days) * 86_400_000_000).astype(np.int64)
    times = pa.array(microseconds, pa.timestamp("us"), mask=unknown)
    parts = {name: pc.cast(getattr(pc, name)(times), pa.int32()) for name in ("year", "month", "day")}
    return {"timestamp": time_text(times), **parts}
