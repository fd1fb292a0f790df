"""archive: from the science table to HBase, where the REST API finds alerts.

Every alert of a committed science batch goes to the main table and to the index tables that are to hold it. Rows are a
function of the alert alone, so that writing a batch twice leaves what writing it once does. What a kill -9 at any
instant leaves behind: some rows of a batch that has no commit; the batch is written again. A batch exists once its
commit is in the log of the table ``archived``, which has no files: the alerts are in HBase.

While HBase is away the job waits, and goes on with the very rows it could not write.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from fink_broker.archive import AlertTable, Commit, DataFile, Layout
from fink_broker.archive.hbase.open import open_archive
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.rows import Rows, database_rows
from fink_broker.archive.hbase.statistics import NightStatistics
from fink_broker.archive.hbase.writing import Written, create_tables, write
from fink_broker.archive.merged_night import MergedNight
from fink_broker.config import Config
from fink_broker.metrics.registry import hbase_numbers
from fink_broker.stream.archive_marks import Marks
from fink_broker.stream.archive_reading import Part, gathered, parts_of
from fink_broker.stream.archive_start import mark_if_emptied, running_text
from fink_broker.stream.archive_tally import MAIN, ArchiveTally
from fink_broker.stream.handoff import Intake
from fink_broker.stream.patience import Patience, Stopped
from fink_broker.stream.space import Space

log = logging.getLogger(__name__)

#: between two looks for new commits of the science table
PAUSE_SECONDS = 0.2
#: commits, and about how many alerts, taken in at once when the job has fallen behind
MOST_COMMITS, MOST_ALERTS = 64, 20_000
#: between two looks whether HBase lacks nights
LOOK_SECONDS = 10.0
#: Refused alerts of a batch the log tells of; its commit names more.
MOST_TOLD = 10


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the job until told to stop (a service entry point)."""
    archive = open_archive(config)
    try:
        Archiving(config, archive).run(stop, say)
    finally:
        archive.store.close()


class Archiving:
    """The job: the science table's commits, rows of HBase.

    Parameters
    ----------
    config : Config
        The configuration in force.
    archive : Archive
        The database.
    """

    name = "archive"

    def __init__(self, config: Config, archive: Archive) -> None:
        layout = Layout(config.storage.online)
        self.config, self.archive = config, archive
        self.raw, self.science, self.archived = (
            AlertTable(layout.table(name)) for name in ("raw", "science", "archived")
        )
        self._intake = Intake(self.science, self.archived)
        self._statistics = NightStatistics(self.archived, archive)
        self._marks = Marks(config)
        self._merged: set[str] = set()
        storage = config.storage
        # the embedded HBase writes below the state
        folders = [storage.online] if config.hbase.servers else [storage.online, str(storage.state)]
        self._space = Space(storage, folders)

    def run(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Take in commits until told to stop, while HBase comes and goes.

        Raises
        ------
        ServiceError
            If the HBase that answers is another broker's, or a table is removed.
        DataError
            If a file cannot be read.
        """
        for table in (self.science, self.archived):
            table.create()
        patient = Patience(stop, say)
        say("starting: looking for HBase")
        try:
            self._begin(patient)
            say(running_text(self._marks))
            looked = time.monotonic()
            while not stop.wait(PAUSE_SECONDS):
                commits = self._bite()
                if commits and self._space.wait(stop, say):
                    self._process(commits, patient)
                if time.monotonic() - looked > LOOK_SECONDS:
                    say(running_text(self._marks))
                    looked = time.monotonic()
        except Stopped:
            log.info("told to stop while HBase was away; the batch is written at the next start")

    def _begin(self, patient: Patience) -> None:
        """Find HBase, ours and with all tables, and go on where the job ended."""
        patient.insist(lambda: create_tables(self.archive))
        patient.insist(self.archive.schemas.require_own)
        self._intake.recover()
        patient.insist(lambda: mark_if_emptied(self.archive, self.archived, self.science, self._marks))
        patient.insist(self._statistics.catch_up)

    def _bite(self) -> list[Commit]:
        """Return the commits to take in at once: few when they are fresh, more when they have piled up."""
        waiting = self._intake.waiting(MOST_COMMITS)
        alerts, number = 0, 0
        while number < len(waiting) and alerts < MOST_ALERTS:
            alerts += waiting[number].counts["out"]
            number += 1
        return waiting[:number]

    def _process(self, commits: list[Commit], patient: Patience) -> None:
        """Write the alerts of some commits, and commit that."""
        started = time.time()
        tally = ArchiveTally()
        self._write_all(gathered(self._parts(commits, tally), self.config.archive.batch_alerts), tally, patient)
        now = time.time()
        batch_id = f"archived-{commits[0].id}"
        inputs = [commit.id for commit in commits]
        counts = tally.counts(sum(commit.counts["out"] for commit in commits))
        self.archived.commit(Commit(batch_id, inputs, [], counts, started, now, tally.details(now)))
        self._intake.take(commits)
        _count(tally)
        patient.insist(self._statistics.catch_up)
        log.info("%s alerts in %.0f ms (%s)", tally.archived, 1000 * (now - started), batch_id)
        for refused in tally.refused[:MOST_TOLD]:
            log.warning("alert %s of %s cannot be archived: %s", refused.candid, refused.place, refused.reason)

    def _parts(self, commits: list[Commit], tally: ArchiveTally) -> Iterator[Part]:
        """Give the alerts of some commits, some at a time."""
        # told once for all commits: a night that is merged meanwhile would be counted whole, and some of it before
        nights = {night for commit in commits for night in commit.nights}
        merged = {night: each for night in nights if (each := self.science.merged.read(night)) is not None}
        for commit in commits:
            covered = self._merged_nights(commit, merged)
            received = self._received(commit)
            tally.add_received({night: number for night, number in received.items() if night not in covered})
            for file in commit.files:
                if file.partition in covered:
                    yield from self._merged_parts(file, covered[file.partition], tally)
                else:
                    yield from parts_of(self.science, file)

    def _merged_nights(self, commit: Commit, merged: Mapping[str, MergedNight]) -> dict[str, MergedNight]:
        """Return the nights, of those that are merged, whose merged files hold what a commit brought to them."""
        ours = {night: merged[night] for night in commit.nights if night in merged}
        number = self.science.log.number_of(commit.id) if ours else None
        return {night: each for night, each in ours.items() if number is not None and number < each.until}

    def _merged_parts(self, file: DataFile, merged: MergedNight, tally: ArchiveTally) -> Iterator[Part]:
        """Give the alerts of a night that was merged before the job got to it, all at the first file of it."""
        if not merged.files:
            tally.removed += file.rows
            return
        tally.archived += file.rows
        if merged.night in self._merged:
            return
        self._merged.add(merged.night)
        log.info("night %s was merged before it was archived: all of it is written", merged.night)
        before = self.science.log.touching(lambda number, night: night == merged.night and number < merged.until)
        received = sum(self._received(commit).get(merged.night, 0) for _, commit in before)
        tally.begin_merged(merged.night, received)
        for whole in merged.data_files():
            yield from parts_of(self.science, whole, merged=True)

    def _write_all(self, parts: Iterator[Part], tally: ArchiveTally, patient: Patience) -> None:
        """Write parts side by side, reading on meanwhile; no more are in memory than are being written, and as many."""
        side_by_side = self.config.archive.partitions
        with ThreadPoolExecutor(side_by_side, "archive") as pool:
            running: list[Future[tuple[Part, Rows, Mapping[str, Written]]]] = []
            try:
                for part in parts:
                    running.append(pool.submit(self._write, part, patient))
                    if len(running) >= 2 * side_by_side:
                        tally.add(*running.pop(0).result())
                for waiting in running:
                    tally.add(*waiting.result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _write(self, part: Part, patient: Patience) -> tuple[Part, Rows, Mapping[str, Written]]:
        """Write one part."""
        rows = database_rows(part.alerts, part.places)
        return part, rows, patient.insist(lambda: write(self.archive, rows))

    def _received(self, commit: Commit) -> dict[str, int]:
        """Return how many alerts came in, by night, of which a commit is what passed the cuts."""
        received: dict[str, int] = {}
        for name in commit.inputs:
            taken = self.raw.log.read(name)
            for file in taken.files if taken else ():
                received[file.partition] = received.get(file.partition, 0) + file.rows
        return received


def _count(tally: ArchiveTally) -> None:
    """Count what a batch wrote, by table."""
    numbers = hbase_numbers()
    for suffix, written in tally.tables.items():
        table = suffix or MAIN
        numbers.rows.labels(table).inc(written.rows)
        numbers.size.labels(table).inc(written.bytes)
        numbers.seconds.labels(table).inc(written.seconds)
