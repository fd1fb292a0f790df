"""What became of every alert: the commits of all stages, added up and held against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config.model import Config
from fink_broker.monitor.latency import Latency


@dataclass(frozen=True)
class Stage:
    """All batches of one stage.

    Parameters
    ----------
    name : str
        The table its batches are committed to: raw, science, topics or archived.
    commits : tuple of Commit
        Its batches.
    """

    name: str
    commits: tuple[Commit, ...] = ()

    @cached_property
    def ids(self) -> frozenset[str]:
        """Ids of its batches."""
        return frozenset(commit.id for commit in self.commits)

    def count(self, way: str) -> int:
        """Return how many alerts went one way: in, out, rejected, duplicate, cut."""
        return sum(commit.counts.get(way, 0) for commit in self.commits)

    def added_up(self, detail: str) -> dict[str, int]:
        """Return a detail that is a number for each name, added up over batches, largest first."""
        total: dict[str, int] = {}
        for commit in self.commits:
            for name, number in commit.details.get(detail, {}).items():
                total[name] = total.get(name, 0) + int(number)
        return dict(sorted(total.items(), key=lambda entry: (-entry[1], entry[0])))


@dataclass(frozen=True)
class Counts:
    """What became of every alert.

    Parameters
    ----------
    raw, science, topics, archived : Stage
        The stages, in the order in which alerts pass them; both topics and archived (HBase) follow science. Nothing is
        archived where that job never ran.
    """

    raw: Stage = field(default_factory=lambda: Stage("raw"))
    science: Stage = field(default_factory=lambda: Stage("science"))
    topics: Stage = field(default_factory=lambda: Stage("topics"))
    archived: Stage = field(default_factory=lambda: Stage("archived"))

    @property
    def reasons(self) -> dict[str, int]:
        """Rejected packets by reason."""
        return self.raw.added_up("reasons")

    @property
    def cuts(self) -> dict[str, int]:
        """Dropped alerts by the quality cut that dropped them."""
        return self.science.added_up("cuts")

    @property
    def failed(self) -> dict[str, int]:
        """Alerts for which a science module failed (they went on without its columns), by module."""
        return self.science.added_up("failed")

    @property
    def messages(self) -> dict[str, int]:
        """Messages sent, by topic."""
        return self.topics.added_up("topics")

    @property
    def lost_offsets(self) -> int:
        """Messages Kafka no longer had when they were asked for."""
        return sum(int(commit.details.get("lost_offsets", 0)) for commit in self.raw.commits)

    @property
    def latency(self) -> Latency:
        """From the time an alert came into Kafka to the time it left for its topics."""
        return Latency.merge(commit.details for commit in self.topics.commits)

    def open_ends(self) -> list[str]:
        """Return a sentence for everything that does not, or does not yet, add up; none if all is closed."""
        ends = []
        if self.lost_offsets:
            ends.append(f"Kafka no longer had {_alerts(self.lost_offsets)} when raw asked for them.")
        for stage, way, detail in (
            (self.raw, "rejected", "reasons"),
            (self.science, "cut", "cuts"),
        ):
            ends += explained(stage, way, detail)
        ends += stored(self.raw) + stored(self.science)
        ends += handed_on(self.raw, self.science) + handed_on(self.science, self.topics)
        if self.archived.commits:
            ends += handed_on(self.science, self.archived)
        return ends


def read_counts(config: Config) -> Counts:
    """Add up the commit logs of all tables.

    Works while the jobs run: a later stage is read before the one it takes its input from, so that every
    batch it names is there.

    Raises
    ------
    DataError
        If a commit cannot be read.
    """
    layout = Layout(config.storage.online)
    stages = {}
    for name in ("archived", "topics", "science", "raw"):
        commits = AlertTable(layout.table(name)).log.each()
        stages[name] = Stage(name, tuple(map(_slim, commits)))
    return Counts(**stages)


def open_ends_of_night(counts: Counts, night: str) -> list[str]:
    """Return what `Counts.open_ends` does, of the batches that have to do with an observing night (``YYYYMMDD``)."""
    raw = _kept(counts.raw, lambda commit: night in commit.nights)
    science = _kept(counts.science, lambda commit: night in commit.nights or _takes(commit, raw))
    ends = stored(raw) + stored(science)
    ends += explained(raw, "rejected", "reasons") + explained(science, "cut", "cuts")
    ends += handed_on(counts.raw, science, raw)
    for later in (counts.topics, counts.archived):
        if later.commits or later.name == "topics":
            ends += handed_on(counts.science, _kept(later, lambda commit: _takes(commit, science)), science)
    return ends


def _kept(stage: Stage, wanted: Callable[[Commit], bool]) -> Stage:
    return Stage(stage.name, tuple(commit for commit in stage.commits if wanted(commit)))


def _takes(commit: Commit, stage: Stage) -> bool:
    return not stage.ids.isdisjoint(commit.inputs)


#: What is taken from the details of a commit; others (identifiers, offsets) can be large.
_DETAILS = (
    "reasons",
    "lost_offsets",
    "cuts",
    "failed",
    "topics",
    "latency_seconds",
    "latency_histogram",
)


def _slim(commit: Commit) -> Commit:
    """Return the commit with the details that are counted."""
    details: dict[str, Any] = {name: commit.details[name] for name in _DETAILS if name in commit.details}
    return Commit(commit.id, commit.inputs, commit.files, commit.counts, commit.started, commit.committed, details)


def handed_on(earlier: Stage, later: Stage, asked: Stage | None = None) -> list[str]:
    """Compare what one stage put out with what the next took in, batch by batch.

    Parameters
    ----------
    earlier, later : Stage
        All batches of the one, and batches of the other.
    asked : Stage, optional
        Those batches of the earlier one that must have been taken in; all by default.
    """
    out = {commit.id: commit.counts["out"] for commit in earlier.commits}
    takers: dict[str, str] = {}
    ends = []
    for commit in later.commits:
        for batch in commit.inputs:
            if batch in takers:
                ends.append(
                    f"{earlier.name} batch {batch} was taken twice, by {later.name} batches "
                    f"{takers[batch]} and {commit.id}."
                )
            takers[batch] = commit.id
        unknown = [batch for batch in commit.inputs if batch not in out]
        if unknown:
            ends.append(
                f"{later.name} batch {commit.id} took in {earlier.name} batches that do not exist: "
                f"{', '.join(unknown)}."
            )
        else:
            held = sum(out[batch] for batch in commit.inputs)
            if held != commit.counts["in"]:
                ends.append(
                    f"{later.name} batch {commit.id} took in {_alerts(commit.counts['in'])}, "
                    f"but its {earlier.name} batches hold {held}."
                )
    must = (asked or earlier).ids
    waiting = [number for batch, number in out.items() if batch in must and batch not in takers and number]
    if waiting:
        ends.append(
            f"{_alerts(sum(waiting))} in {_batches(len(waiting))} of {earlier.name} "
            f"{'is' if sum(waiting) == 1 else 'are'} not yet in {later.name}."
        )
    return ends


def explained(stage: Stage, way: str, detail: str) -> list[str]:
    """Check that every alert set aside has its reason."""
    ends = []
    for commit in stage.commits:
        number, reasoned = commit.counts.get(way, 0), sum(commit.details.get(detail, {}).values())
        if number != reasoned:
            ends.append(f"{stage.name} batch {commit.id} has {number} {way}, but {detail} for {reasoned}.")
    return ends


def stored(stage: Stage) -> list[str]:
    """Check that the files of a batch hold what it put out."""
    ends = []
    for commit in stage.commits:
        rows = sum(file.rows for file in commit.files)
        if rows != commit.counts["out"]:
            ends.append(
                f"{stage.name} batch {commit.id} put out {_alerts(commit.counts['out'])}, but its files hold {rows}."
            )
    return ends


def _alerts(number: int) -> str:
    return f"{number} alert{'' if number == 1 else 's'}"


def _batches(number: int) -> str:
    return f"{number} batch{'' if number == 1 else 'es'}"
