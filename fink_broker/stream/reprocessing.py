"""Reprocessing a night: cuts, science and filters over its stored alerts with the modules of today.

Processes take the night's files and leave science alerts on disk; these are put on piles by objectId, and so are the
science columns and verdicts there are. Pile by pile is compared, judged and written; then the night's files are
replaced at one instant (`fink_broker.archive.night_writer`), unless nothing differs. Nothing is sent.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.schema import ztf_reading_schema
from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.archive.additions import TrackletNames
from fink_broker.archive.buckets import Buckets, bounds_of, keys_of
from fink_broker.archive.merging import (
    Progress,
    check_room,
    clear_leftovers,
    piles,
    reading,
    scratch,
    united_pile,
    writing,
)
from fink_broker.archive.night_writer import NightWriter
from fink_broker.archive.reading import files_below, files_of_night
from fink_broker.archive.uniting import families
from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.filters.engine import Engine
from fink_broker.filters.registry import find_filters
from fink_broker.filters.topics_file import TopicsFile
from fink_broker.filters.users.switches import Switches
from fink_broker.science.registry import build_pipeline, select
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.differences import Changes
from fink_broker.stream.reprocess_checks import check_that_raw_has_all, end_of_science, no_such_night, some_columns
from fink_broker.stream.reprocess_task import Portion, Portioned, end_with_parent, redone, run_portion

#: Alerts a process takes at once.
PORTION_ALERTS = 2000
WORKERS = 2
#: Of alerts of each kind kept in memory.
PILE_BYTES = 96 * 1024**2


@dataclass
class Reprocessed:
    """What a reprocessing did, or would do.

    Attributes
    ----------
    alerts : int
        Alerts it took in.
    cuts : collections.Counter
        How many each cut dropped.
    changes : Changes
        What differs.
    generation : int
        Of the night's files; 0 if they were not replaced.
    refused : bool
        Whether they were not because more fails than did, and that was not accepted.
    """

    alerts: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    changes: Changes = field(default_factory=Changes)
    generation: int = 0
    refused: bool = False


def reprocess(
    config: Config,
    night: str,
    modules: Sequence[str] = (),
    *,
    dry_run: bool = False,
    accept_failures: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Reprocessed:
    """Run cuts, science and filters over a night again, and replace its science files if they differ.

    Parameters
    ----------
    config : Config
        The configuration in force.
    night : str
        Observing night, ``YYYYMMDD``.
    modules : sequence of str
        Modules or groups whose columns are made anew, with those of modules that need them, for the science alerts
        there are; none: cuts and all modules, for all raw alerts.
    dry_run : bool
        Whether only to tell what would change.
    accept_failures : bool
        Whether to replace the files also where a module fails in more alerts than it did: their values are lost.
    progress : callable
        Told how many alerts of how many are done.

    Raises
    ------
    UsageError
        If there is no such night, a later job has not taken it in, or the table is being merged; or if science has
        alerts that raw has no longer, and they were to be made from these.
    ConfigError
        If there is no such module.
    DataError
        If a file cannot be read; nothing is changed.
    ServiceError
        If there is no room, or a process died.
    """
    if modules:
        select(config, modules)  # a name that is none is told before anything begins
    chosen = redone(build_pipeline(config), modules) if modules else ()
    layout = Layout(config.storage.online)
    raw, science, topics = (AlertTable(layout.table(name)) for name in ("raw", "science", "topics"))
    with science.merged.alone(), raw.merged.alone():
        end, taken_in = end_of_science(layout, raw, science, night)
        files = files_of_night(science, night) if chosen else files_below(raw, night, taken_in)
        if not files and not files_of_night(science, night):
            raise no_such_night(layout, night)
        if not chosen:
            check_that_raw_has_all(raw, files, science, night)
        clear_leftovers(science, night)
        check_room(science, sum(file.bytes for file in files), config.storage.min_free_gib)
        with writing(science, night), scratch(science, night) as folder, _judges(config) as engine:
            again = _Night(config, night, science, topics, folder)
            again.take(science if chosen else raw, files, chosen, progress)
            whole = not chosen and not raw.merged.removed(night)
            return again.finish(engine, end, dry_run=dry_run, accept_failures=accept_failures, whole=whole)


class _Night:
    """A night that is being made anew, in piles."""

    def __init__(self, config: Config, night: str, science: AlertTable, topics: AlertTable, folder: Path) -> None:
        self._config, self._night, self._folder = config, night, folder
        self._science, self._topics = science, topics
        self._result = Reprocessed()
        self._tracklets = TrackletNames()
        self._schemas: list[pa.Schema] = []
        self._piles: dict[str, Buckets] = {}

    def take(self, source: AlertTable, files: Sequence[DataFile], modules: tuple[str, ...], progress: Progress) -> None:
        """Make science alerts of some files, and put all there is of the night on piles."""
        keys = [keys_of(rows) for file in files for rows in some_columns(source, file, ["objectId"])]
        number = piles(sum(file.bytes for file in files), self._config.storage.file_mib)
        bounds = bounds_of(np.concatenate(keys), number)
        self._piles = {name: Buckets(self._folder / name, bounds, PILE_BYTES) for name in ("new", "old", "told")}
        for rows in self._made(source, files, modules, progress):
            self._tracklets.look(rows)
            self._schemas = families([*self._schemas, self._tracklets.add(rows.slice(0, 0), "").schema])
            self._piles["new"].add(rows)
        for file in files_of_night(self._science, self._night):
            names = science_names(_schema(self._science, file))
            for rows in some_columns(self._science, file, names):
                self._piles["old"].add(rows)
        for file in files_of_night(self._topics, self._night):
            for rows in some_columns(self._topics, file, ["candid", "objectId", "topics"]):
                self._piles["told"].add(rows)

    def finish(self, engine: Engine, until: int, *, dry_run: bool, accept_failures: bool, whole: bool) -> Reprocessed:
        """Compare, judge and write pile after pile; put the files in force if anything differs.

        Parameters
        ----------
        engine : Engine
            The filters.
        until : int
            Number of the first science commit that is not in the files.
        dry_run, accept_failures : bool
            As in `reprocess`.
        whole : bool
            Whether all alerts of the night were made anew, also those that were removed for their age.
        """
        changes = self._result.changes
        with NightWriter(self._science, self._night) as writer:
            for number in range(len(self._piles["new"])):
                made = [self._tracklets.add(rows, "") for rows in self._piles["new"].take(number)]
                parts = list(united_pile(made, self._schemas))
                new = [part.select(science_names(part.schema)) for part in parts]
                changes.compare(_by_family(self._piles["old"].take(number)), new)
                self._judge(engine, _by_family(self._piles["told"].take(number)), parts)
                for part in () if dry_run else parts:
                    writer.write(part)
            self._result.refused = bool(changes.worse) and not accept_failures
            if changes.any and not dry_run and not self._result.refused:
                Marks(self._config).set(self._night)
                said = {"unfiltered": changes.unfiltered, "without_alert": changes.without_alert}
                details = {**self._tracklets.told(), **({"removed": False} if whole else {})}
                merged = writer.publish(until, changes.now, reprocessed=said, **details)
                self._result.generation = merged.generation
        return self._result

    def _made(
        self, source: AlertTable, files: Sequence[DataFile], modules: tuple[str, ...], progress: Progress
    ) -> Iterator[pa.Table]:
        """Have processes make science alerts of files; give them as they come."""
        settings, total = self._config.model_dump_json(), sum(file.rows for file in files)
        progress(0, total)
        portions = [
            Portion(settings, source.storage.location, group, str(self._folder / f"made-{number:06d}"), modules)
            for number, group in enumerate(_groups(files))
        ]
        for done in _run(portions):
            self._result.alerts += done.alerts
            self._result.cuts += Counter(done.cuts)
            progress(self._result.alerts, total)
            for path in done.files:
                yield pq.ParquetFile(path).read(use_threads=False).replace_schema_metadata(None)
                Path(path).unlink()

    def _judge(self, engine: Engine, told: Sequence[pa.Table], parts: Sequence[pa.Table]) -> None:
        """Hold alerts against the filters in force, and that against what was recorded."""
        candids: list[np.ndarray] = [np.empty(0, np.int64)]
        passed: dict[str, list[np.ndarray]] = {}
        for part in parts:
            for start in range(0, len(part), self._config.science.batch_alerts):
                rows = part.slice(start, self._config.science.batch_alerts)
                candids.append(rows["candid"].to_numpy())
                for verdict in engine.judge(rows):
                    passed.setdefault(verdict.filter.name, []).append(verdict.passed)
        whole = {name: np.concatenate(masks) for name, masks in passed.items()}
        every = np.concatenate(candids)
        complete = {name: mask for name, mask in whole.items() if len(mask) == len(every)}  # not switched off half-way
        names = ["candid", "topics"]
        rows = pa.concat_tables([part.select(names) for part in told]) if told else pa.table({})
        self._result.changes.compare_topics(rows, every, complete)


def science_names(schema: pa.Schema) -> list[str]:
    """Return the columns of science alerts that are none of the packet's, and the two that name the alert."""
    packet = {field["name"] for field in json.loads(ztf_reading_schema())["fields"]} | {"origin"}
    return [name for name in schema.names if name in ("candid", "objectId") or name not in packet]


def _groups(files: Sequence[DataFile]) -> Iterator[tuple[DataFile, ...]]:
    """Give files in groups of about as many alerts as a process takes at once."""
    group: list[DataFile] = []
    for file in files:
        if group and sum(one.rows for one in group) + file.rows > PORTION_ALERTS:
            yield tuple(group)
            group = []
        group.append(file)
    if group:
        yield tuple(group)


def _run(portions: Sequence[Portion]) -> Iterator[Portioned]:
    """Have processes do portions; give what came out as it comes.

    Raises
    ------
    ServiceError
        If a process died.
    """
    processes, spawn = min(WORKERS, len(portions)), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(run_portion, portion) for portion in portions]):
                yield future.result()
        except BrokenProcessPool as error:
            raise ServiceError(
                "A process that ran the science modules died.", "Is there memory for two of them, 1 GiB each?"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _judges(config: Config) -> Iterator[Engine]:
    """Give the filters in force that are on; what happens to them here switches none of them off for the broker."""
    switches = Switches.of(config)
    every = [*find_filters(config.distribution.topics, config), *TopicsFile(Path(config.filters.file)).filters]
    on = [entry for entry in every if switches.off(entry) is None]
    with Engine(on, Switches(), config.filters.function_seconds, config.filters.failures) as engine:
        yield engine


def _schema(table: AlertTable, file: DataFile) -> pa.Schema:
    with reading(table, file), table.storage.open(file.path) as stream:
        return pq.read_schema(stream)


def _by_family(parts: list[pa.Table]) -> list[pa.Table]:
    """Return alerts as one table for each schema to which some of them can be brought; the list is emptied."""
    return list(united_pile(parts, families(part.schema for part in parts)))
