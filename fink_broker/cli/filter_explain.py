"""``fink filter explain``: what became of one alert, topic by topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.commits import DataFile
from fink_broker.cli.configuration import load
from fink_broker.cli.filter_lookup import all_topics
from fink_broker.errors import DataError
from fink_broker.filters.users.switches import Switches

_COLOURS = {"passed": "green", "let go": "dim", "failed": "red", "did not see it": "yellow"}


@dataclass(frozen=True)
class Found:
    """Where an alert stands in the topics table."""

    row: dict[str, Any]
    commit: Commit


def explain(conf: str | None, candid: int) -> int:
    """Print what each topic said of an alert; return the exit code."""
    config = load(conf, quiet=True).config
    layout = Layout(config.storage.online)
    with Console(stderr=True).status("looking for the alert"):
        found = find(AlertTable(layout.table("topics")), candid)
        known = found is not None or _holds(AlertTable(layout.table("science")), candid)
    if not known:
        raise DataError(f"The broker holds no alert {candid}.", "Was it cut, or has raw2science not got to it yet?")
    if found is None:
        print(f"Alert {candid} has not been filtered yet: `fink start distribution` does that.")
        return 0
    topics, switches = all_topics(config), Switches.of(config)
    saw: dict[str, Any] = found.commit.details.get("filters", {})
    passed, failed = set(found.row.get("topics") or []), set(found.row.get("failed") or [])
    table = Table("topic", "version", "said", title=f"{found.row.get('objectId')}  candid {candid}")
    table.title_justify = "left"
    for name in dict.fromkeys([*topics, *saw, *passed, *failed]):
        word = _word(name, saw, passed, failed)
        off = switches.off(topics[name]) if name in topics else None
        why = f" (off: {off.reason})" if off is not None and name not in saw else ""
        identity = str(saw.get(name, {}).get("identity", ""))
        table.add_row(name, escape(identity), f"[{_COLOURS[word]}]{word}[/]{escape(why)}")
    console = Console()
    console.print(table)
    console.print(f"{len(passed)} topics took it, {len(failed)} failed on it (batch {found.commit.id}).")
    return 0


def find(table: AlertTable, candid: int) -> Found | None:
    """Return an alert's row of the topics table and the commit it came with, None if it is not there."""
    for commit in table.log.newest_first():
        for file in commit.files:
            if rows := _rows(table, file, candid):
                return Found(rows[0], commit)
    return None


def _word(name: str, saw: dict[str, Any], passed: set[str], failed: set[str]) -> str:
    if name in passed:
        return "passed"
    if name in failed:
        return "failed"
    return "let go" if name in saw else "did not see it"


def _rows(table: AlertTable, file: DataFile, candid: int) -> list[dict[str, Any]]:
    """Return the rows of an alert in one file, without what is nested in it."""
    path = f"{table.storage.root}/{file.path}"
    try:
        stored = ds.dataset(path, filesystem=table.storage.files, format="parquet")
        names = [name for name in ("objectId", "topics", "failed") if name in stored.schema.names]
        found: list[dict[str, Any]] = stored.to_table(columns=names, filter=pc.field("candid") == candid).to_pylist()
    except FileNotFoundError:
        return []
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"The file {path} cannot be read: {error}.") from error
    return found


def _holds(table: AlertTable, candid: int) -> bool:
    return any(_rows(table, file, candid) for commit in table.log.newest_first() for file in commit.files)
