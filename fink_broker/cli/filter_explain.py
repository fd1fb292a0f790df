"""``fink filter explain``: what became of one alert, topic by topic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.additions import BATCH
from fink_broker.archive.commits import DataFile
from fink_broker.archive.reading import files_of_night, nights_of
from fink_broker.cli.configuration import load
from fink_broker.cli.filter_lookup import all_topics
from fink_broker.errors import DataError, UsageError
from fink_broker.filters.users.switches import Switches

_UNSEEN = "did not see it"
_COLOURS = {"passed": "green", "let go": "dim", "failed": "red", _UNSEEN: "yellow"}
_NIGHT = re.compile(r"\d{8}")


@dataclass(frozen=True)
class Found:
    """Where an alert stands in the topics table."""

    row: dict[str, Any]
    batch: str
    commit: Commit | None

    @property
    def filters(self) -> dict[str, Any]:
        """The filters of its batch, as they were then."""
        return {} if self.commit is None else dict(self.commit.details.get("filters", {}))

    @property
    def judged(self) -> set[str]:
        """Names of the filters that judged it.

        Those of a batch can differ from alert to alert: one that is switched off half-way does not see the rest. Rows
        that do not say it are taken to have been judged by all that saw any alert of their batch.
        """
        judged = self.row.get("judged")
        return set(self.filters if judged is None else judged)


def explain(conf: str | None, candid: int, night: str = "") -> int:
    """Print what each topic said of an alert; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    candid : int
        The alert.
    night : str
        Observing night ``YYYYMMDD`` in whose files it is looked for; empty: in all, the latest first.

    Raises
    ------
    UsageError
        If the night is none.
    DataError
        If there is no such alert, or a file cannot be read.
    """
    if night and not _NIGHT.fullmatch(night):
        raise UsageError(f"'{night}' is no observing night.", "Write it as YYYYMMDD.")
    config = load(conf, quiet=True).config
    layout = Layout(config.storage.online)
    with Console(stderr=True).status("looking for the alert"):
        found = find(AlertTable(layout.table("topics")), candid, night)
        known = found is not None or _holds(AlertTable(layout.table("science")), candid, night)
    if not known:
        of = f" of the night {night}" if night else ""
        raise DataError(f"The broker holds no alert {candid}{of}.", "Was it cut, or has raw2science not got to it yet?")
    if found is None:
        print(f"Alert {candid} has not been filtered yet: `fink start distribution` does that.")
        return 0
    topics, switches = all_topics(config), Switches.of(config)
    saw = found.filters
    judged = found.judged
    passed, failed = set(found.row.get("topics") or []), set(found.row.get("failed") or [])
    table = Table("topic", "version", "said", title=f"{found.row.get('objectId')}  candid {candid}")
    table.title_justify = "left"
    for name in dict.fromkeys([*topics, *saw, *judged, *passed, *failed]):
        word = _word(name, judged, passed, failed)
        off = switches.off(topics[name]) if name in topics else None
        why = f" (off: {off.reason})" if off is not None and word == _UNSEEN else ""
        identity = "" if word == _UNSEEN else str(saw.get(name, {}).get("identity", ""))
        table.add_row(name, escape(identity), f"[{_COLOURS[word]}]{word}[/]{escape(why)}")
    console = Console()
    console.print(table)
    took = "1 topic" if len(passed) == 1 else f"{len(passed)} topics"
    console.print(f"{took} took it, {len(failed)} failed on it (batch {found.batch}).")
    return 0


def find(table: AlertTable, candid: int, night: str = "") -> Found | None:
    """Return an alert's row of the topics table and the commit it came with, None if it is not there."""
    for file in _files(table, night):
        if rows := _rows(table, file, candid):
            batch = str(rows[0].get(BATCH) or "") or _batch_of(table, file)
            return Found(rows[0], batch, table.log.read(batch))
    return None


def _files(table: AlertTable, night: str) -> Iterator[DataFile]:
    """Give the files of a night, or of all, the latest first."""
    for one in [night] if night else reversed(nights_of(table)):
        yield from reversed(files_of_night(table, one))


def _batch_of(table: AlertTable, file: DataFile) -> str:
    """Return the id of the commit that brought a file."""
    found = table.log.touching(lambda _, night: night == file.partition)
    return next((commit.id for _, commit in found if file in commit.files), "")


def _word(name: str, judged: set[str], passed: set[str], failed: set[str]) -> str:
    if name in passed:
        return "passed"
    if name in failed:
        return "failed"
    return "let go" if name in judged else _UNSEEN


def _rows(table: AlertTable, file: DataFile, candid: int) -> list[dict[str, Any]]:
    """Return the rows of an alert in one file, without what is nested in it."""
    path = f"{table.storage.root}/{file.path}"
    try:
        stored = ds.dataset(path, filesystem=table.storage.files, format="parquet")
        names = [name for name in ("objectId", "topics", "failed", "judged", BATCH) if name in stored.schema.names]
        found: list[dict[str, Any]] = stored.to_table(columns=names, filter=pc.field("candid") == candid).to_pylist()
    except FileNotFoundError:
        return []
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"The file {path} cannot be read: {error}.") from error
    return found


def _holds(table: AlertTable, candid: int, night: str) -> bool:
    return any(_rows(table, file, candid) for file in _files(table, night))
