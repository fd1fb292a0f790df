"""All alerts of objects as rows of an answer, the latest first, made piece by piece as they are sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.archive.hbase.newest import IDENTITY, MOST_LOOKED_AT, NewestAlerts
from fink_broker.portal.alert_rows import PIECE, Selection, newest_of
from fink_broker.portal.computed import COLOURS, needed, with_colours

if TYPE_CHECKING:
    from fink_broker.archive.hbase.reader import Archive

TAG, VALID, BAD_QUALITY = "d:tag", "valid", "badquality"
#: candid of points that are no alerts.
NO_CANDID = -1
#: Place of a row among the alerts, or among the points that are none.
_PLACE, _IS_ALERT = "place", "is alert"
#: Objects whose points are read at once.
_TOGETHER = 50


@dataclass(frozen=True)
class ObjectRows:
    """Rows of objects: their alerts, and where they are wanted the points of their history that are none.

    Parameters
    ----------
    alerts : NewestAlerts
        The alerts.
    order : pyarrow.Table
        What orders them, and their colours if those are wanted.
    selection : Selection
        Columns of the answer.
    has_tag : bool
        Whether each row says what it is.
    points : pyarrow.Table, optional
        Upper limits and measurements of bad quality, the latest first.
    """

    alerts: NewestAlerts
    order: pa.Table
    selection: Selection
    has_tag: bool = False
    points: pa.Table | None = None

    @classmethod
    def of(cls, archive: Archive, names: Sequence[str], selection: Selection, most: int) -> ObjectRows:
        """Find the alerts of objects.

        Parameters
        ----------
        archive : Archive
            Where they are.
        names : sequence of str
            The objects, or beginnings of their names.
        selection : Selection
            Columns of the answer.
        most : int
            Rows wanted; many more are looked at to find the latest.
        """
        colours = selection.computed if selection.names is None else selection.names
        wants_colours = bool(set(colours) & set(COLOURS))
        ordering = (*IDENTITY, *(needed(COLOURS) if wants_colours else ()))
        alerts = archive.newest_alerts(names, selection.fetched(*IDENTITY), ordering, max(MOST_LOOKED_AT, most + 1))
        order = with_colours(alerts.order) if wants_colours and len(alerts) else alerts.order
        return cls(alerts, order, selection, selection.has(TAG))

    def with_points(self, archive: Archive, most: int) -> ObjectRows:
        """Return the same with the other points of the objects in the answer, the latest ones if there are too many.

        Parameters
        ----------
        archive : Archive
            Where they are.
        most : int
            Points, and alerts, that are wanted.
        """
        shown = self.order.slice(0, most)
        taken = set(zip(*(shown[name].to_pylist() for name in ("i:objectId", "i:jd")), strict=True))
        names = list(dict.fromkeys(name for name, _ in taken))
        parts = (
            _that_are_no_alerts(archive.histories(names[start : start + _TOGETHER]), taken)
            for start in range(0, len(names), _TOGETHER)
        )
        points, _ = newest_of((part for part in parts if len(part)), most)
        return ObjectRows(self.alerts, self.order, self.selection, True, points if len(points) else None)

    def pieces(self, most: int) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Give no more than so many rows, some at a time, each time with what names them; at least one table."""
        merged = self._merged().slice(0, most)
        schema = self._schema()
        for start in range(0, max(len(merged), 1), PIECE):
            yield self._piece(merged.slice(start, PIECE), schema)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.order) + (0 if self.points is None else len(self.points))

    def _merged(self) -> pa.Table:
        """Return what names each row, the latest first, and where it is found."""
        parts = []
        for table, is_alert in ((self.order, True), (self.points, False)):
            if table is not None and len(table):
                part = table.select(list(IDENTITY)).append_column(_PLACE, pa.array(np.arange(len(table))))
                parts.append(part.append_column(_IS_ALERT, pa.repeat(is_alert, len(table))))
        if not parts:
            return self.selection.nothing().select(list(IDENTITY))
        merged = pa.concat_tables(parts, promote_options="permissive")
        # as alerts are sorted among themselves, so that those of a piece are neighbours
        return merged.take(pc.sort_indices(merged, sort_keys=[("i:jd", "descending"), ("i:candid", "descending")]))

    def _schema(self) -> pa.Schema:
        nothing = self.alerts.nothing if len(self.order) else self.selection.nothing()
        shown = self._shown(nothing, self.order.slice(0, 0))
        if self.points is None:
            return shown.schema
        points = self._shown_points(self.points.slice(0, 0))
        return pa.unify_schemas([shown.schema, points.schema], promote_options="permissive")

    def _piece(self, rows: pa.Table, schema: pa.Schema) -> tuple[pa.Table, pa.Table]:
        if not len(rows):
            return schema.empty_table(), rows
        is_alert = rows[_IS_ALERT].to_numpy()
        place = rows[_PLACE].to_numpy()
        first, count = (int(place[is_alert][0]), int(is_alert.sum())) if is_alert.any() else (0, 0)
        alerts = self.alerts.rows(first, count)
        shown = self._shown(alerts, self.order.slice(first, count))
        if len(alerts) < count:  # some were removed since their order was found
            left = ~is_alert | pc.is_in(rows["i:candid"], value_set=alerts["i:candid"].combine_chunks()).to_numpy()
            rows, is_alert, place = rows.filter(pa.array(left)), is_alert[left], place[left]
        if self.points is None:
            return shown, rows
        points = self._shown_points(self.points.take(pa.array(place[~is_alert])))
        both = pa.concat_tables([schema.empty_table(), shown, points], promote_options="permissive")
        source = np.where(is_alert, np.cumsum(is_alert) - 1, len(shown) + np.cumsum(~is_alert) - 1)
        return both.take(pa.array(source)), rows

    def _shown(self, alerts: pa.Table, curves: pa.Table) -> pa.Table:
        has_colours = COLOURS[0] in curves.column_names
        shown = self.selection.show(alerts, curves=curves if has_colours else None)
        if not self.has_tag:
            return shown
        # columns by name: a table without columns forgets how many rows it has
        columns = dict(zip(shown.column_names, shown.columns, strict=True))
        return pa.table({**columns, TAG: pa.repeat(pa.scalar(VALID), len(alerts))})

    def _shown_points(self, points: pa.Table) -> pa.Table:
        names = self.selection.names
        wanted = [name for name in points.column_names if names is None or name in (*names, TAG)]
        return points.select(wanted)


def _that_are_no_alerts(points: pa.Table, alerts: Collection[tuple[str, float]]) -> pa.Table:
    """Return points without those of bad quality that have the time of an alert of the object: they are that alert."""
    if not len(points):
        return points
    places = zip(points["i:objectId"].to_pylist(), points["i:jd"].to_pylist(), strict=True)
    is_bad = pc.equal(points[TAG], BAD_QUALITY).fill_null(False).to_numpy()
    points = points.filter(pa.array(~(is_bad & [place in alerts for place in places])))
    return points.append_column("i:candid", pa.repeat(pa.scalar(NO_CANDID, pa.int64()), len(points)))
