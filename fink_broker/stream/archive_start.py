"""What the archive job looks at before it begins: whether HBase still has what was brought to it."""

from __future__ import annotations

import logging

from fink_broker.archive import AlertTable
from fink_broker.archive.hbase.cells import CUTOUT_CELL
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.store import ALL_KEYS
from fink_broker.archive.reading import nights_of
from fink_broker.stream.archive_marks import Marks

log = logging.getLogger(__name__)


def mark_if_emptied(archive: Archive, archived: AlertTable, science: AlertTable, marks: Marks) -> None:
    """Mark all nights as lacking in HBase if it has no alert, although alerts were brought to it.

    Parameters
    ----------
    archive : Archive
        The database, with its tables.
    archived : AlertTable
        Whose commits tell what was brought to HBase.
    science : AlertTable
        Whose nights can be brought there again.
    marks : Marks
        Where nights are marked; `fink archive rebuild` removes the marks.

    Raises
    ------
    ArchiveAway
        If HBase does not answer.
    """
    if not archived.log.end() or _has_alerts(archive):
        return
    if not any(commit.counts["out"] for commit in archived.log.read_all()):
        return
    nights = nights_of(science)
    for night in nights:
        marks.set(night)
    log.error(
        "HBase has lost all alerts that had been written to it (nights: %s). `fink archive rebuild` writes them again; "
        "those that come are written meanwhile.",
        len(nights),
    )


def running_text(marks: Marks) -> str:
    """Return what the job says of itself: that it runs, and what HBase lacks."""
    if not (behind := len(marks.nights())):
        return "running"
    which = "a night is" if behind == 1 else f"{behind} nights are"
    return f"running; {which} not in HBase as in Parquet: `fink archive rebuild` mends that"


def _has_alerts(archive: Archive) -> bool:
    return next(archive.store.scan(archive.name(""), ALL_KEYS, [CUTOUT_CELL], page=1), None) is not None
