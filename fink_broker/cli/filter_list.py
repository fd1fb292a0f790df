"""``fink filter list``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.cli.configuration import load
from fink_broker.cli.filter_lookup import all_topics
from fink_broker.filters.topics_file import read_topics
from fink_broker.filters.users.switches import Switches

DAYS, MOST_COMMITS = 7, 10_000


@dataclass
class Counts:
    """What a topic did with some alerts."""

    seen: int = 0
    passed: int = 0
    failed: int = 0
    ms: float = 0.0

    def add(self, told: Mapping[str, Any]) -> None:
        """Add the counts of a batch."""
        self.seen += int(told.get("seen", 0))
        self.passed += int(told.get("passed", 0))
        self.failed += int(told.get("failed", 0))
        self.ms += float(told.get("ms", 0.0))


class Recent:
    """The commits of the last `DAYS`, at most `MOST_COMMITS` of them: each is a file to be read.

    Parameters
    ----------
    commits : iterable of Commit
        The latest first.
    now : float
        Unix time in seconds.

    Attributes
    ----------
    was_cut : bool
        Whether there are older ones.
    extent : str
        What was read, in words.
    """

    def __init__(self, commits: Iterable[Commit], now: float) -> None:
        self._commits, self._now = commits, now
        self.was_cut, self.extent = False, f"the last {DAYS} days"

    def __iter__(self) -> Iterator[Commit]:
        for number, commit in enumerate(self._commits):
            if commit.committed < self._now - DAYS * 86_400:
                self.was_cut = True
                return
            if number == MOST_COMMITS:
                self.was_cut, self.extent = True, f"the last {MOST_COMMITS:,} batches"
                return
            yield commit


def show_list(conf: str | None, *, everything: bool = False) -> int:
    """Print all topics; return the exit code.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    everything : bool
        Whether to count the alerts of all batches there are, which takes the longer the longer the broker runs.
    """
    config = load(conf, quiet=True).config
    switches, topics = Switches.of(config), all_topics(config)
    commits = AlertTable(Layout(config.storage.online).table("topics")).log.newest_first()
    recent = Recent(commits, time.time())
    counts = count(commits if everything else recent)
    table = Table(title=f"{len(topics)} topics")
    for name in ("topic", "owner", "version", "state"):
        table.add_column(name, overflow="fold")
    for name in ("seen", "passed", "failed", "ms"):
        table.add_column(name, justify="right")
    off = {name: found for name, entry in topics.items() if (found := switches.off(entry)) is not None}
    for name, entry in topics.items():
        state = "[red]off[/]" if name in off else "[green]on[/]"
        done = counts.get(name, Counts())
        cost = f"{done.ms / done.seen:.3f}" if done.seen else "–"
        numbers = [f"{number:,}" for number in (done.seen, done.passed, done.failed)]
        table.add_row(name, escape(entry.owner), escape(entry.version), state, *numbers, cost)
    console = Console()
    console.print(table)
    of = "so far" if everything or not recent.was_cut else f"of {recent.extent} (--all counts all)"
    console.print(f"seen, passed, failed: alerts {of}; ms: milliseconds an alert.", highlight=False)
    for name, found in off.items():
        since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.since))
        console.print(f"{name} is off since {since} UTC: {found.reason}.", markup=False, highlight=False)
    for problem in read_topics(Path(config.filters.file))[1]:
        console.print(f"Left out: {problem}", markup=False, highlight=False)
    return 0


def count(commits: Iterable[Commit]) -> dict[str, Counts]:
    """Return the sum of what the commits of the topics table tell of each filter."""
    counts: dict[str, Counts] = {}
    for commit in commits:
        for name, told in commit.details.get("filters", {}).items():
            counts.setdefault(name, Counts()).add(told)
    return counts
