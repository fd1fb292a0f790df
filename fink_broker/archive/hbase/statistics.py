"""What a night came to: alerts by stage, band and class, exposures and fields; one record a night.

A record is the sum of what the commits of the archive say of that night, so a batch that runs twice counts once. Sums
are kept beside the commits with the number of the commit they reach to: a job that was killed between a commit and the
record, or between the record and the sum, adds what is missing and nothing twice. One process at a time changes sums.
"""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.alert.survey import SURVEYS, Survey
from fink_broker.archive.commits import Commit
from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.archive.table import AlertTable
from fink_broker.science.finkclass import NO_CLASS

FOLDER = "_nights"
_NEXT = f"{FOLDER}/next.json"
_LOCK = f"{FOLDER}/.lock"
_COMMITS_AT_ONCE = 500
#: Labels that are no match with SIMBAD: nothing is known there, or nobody could be asked.
_NO_MATCH, _FAILURE = "Unknown", "Fail"
#: SIMBAD types of galaxies, parts and groups of galaxies.
GALAXIES = tuple(
    label for label in EXTRAGALACTIC if label not in NO_CLASS and not label.startswith(_FAILURE) and "SN" not in label
)


@dataclass(frozen=True)
class Tally:
    """Counts of alerts of one night.

    Parameters
    ----------
    numbers : Counter
        ``raw``: received; ``sci``: archived, that is, with science columns; ``n_g``, ``n_r``: of these in g and in r;
        ``simbad_tot``: at the place of a source of SIMBAD; ``simbad_gal``: of a galaxy there.
    classes : Counter
        Archived alerts by class.
    exposures : frozenset of float
        Times (jd, days) of exposures.
    fields : frozenset of int
        Fields of the survey.
    whole : bool
        Whether this is all of the night, whatever was counted before.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    exposures: frozenset[float] = frozenset()
    fields: frozenset[int] = frozenset()
    whole: bool = False

    def __add__(self, later: Tally) -> Tally:
        """Return what both come to; the later one alone if it is the whole night."""
        if later.whole:
            return later
        numbers, classes = Counter(self.numbers), Counter(self.classes)
        numbers.update(later.numbers)
        classes.update(later.classes)
        return Tally(numbers, classes, self.exposures | later.exposures, self.fields | later.fields, self.whole)

    @classmethod
    def of(cls, alerts: pa.Table) -> Tally:
        """Return the counts of archived alerts of one night, from published columns."""
        label, band = alerts["d:cdsxmatch"], alerts["i:fid"]
        failed = pc.starts_with(label, _FAILURE)
        matched = pc.and_(pc.not_equal(label, _NO_MATCH), pc.invert(failed))
        galaxy = pc.is_in(label, value_set=pa.array(GALAXIES))
        numbers = {
            "sci": len(alerts), "n_g": _count(pc.equal(band, 1)), "n_r": _count(pc.equal(band, 2)),
            "simbad_tot": _count(matched), "simbad_gal": _count(galaxy),
        }  # fmt: skip
        return cls(
            Counter(numbers),
            Counter(
                {entry["values"]: entry["counts"] for entry in pc.value_counts(alerts["d:classification"]).to_pylist()}
            ),
            frozenset(pc.unique(alerts["i:jd"]).drop_null().to_pylist()),
            frozenset(pc.unique(alerts["i:field"]).drop_null().to_pylist()),
        )

    @classmethod
    def received(cls, alerts: int) -> Tally:
        """Return the tally of alerts that came in, whatever became of them."""
        return cls(Counter({"raw": alerts}))

    def as_whole(self) -> Tally:
        """Return the same counts as those of the whole night."""
        return Tally(self.numbers, self.classes, self.exposures, self.fields, whole=True)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "numbers": dict(self.numbers),
            "classes": dict(self.classes),
            "exposures": sorted(self.exposures),
            "fields": sorted(self.fields),
            **({"whole": True} if self.whole else {}),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """Read it back."""
        return cls(
            Counter(content["numbers"]),
            Counter(content["classes"]),
            frozenset(content["exposures"]),
            frozenset(content["fields"]),
            bool(content.get("whole", False)),
        )

    def record(self) -> dict[str, int]:
        """Return the fields of the night's record: ``basic:…`` and ``class:…``."""
        basic = {f"basic:{name}": self.numbers[name] for name in ("raw", "sci", "n_g", "n_r")}
        basic |= {"basic:exposures": len(self.exposures), "basic:fields": len(self.fields)}
        labels = {f"class:{label}": number for label, number in sorted(self.classes.items()) if number}
        return basic | labels | {f"class:{name}": self.numbers[name] for name in ("simbad_tot", "simbad_gal")}


def by_night(alerts: pa.Table, survey: Survey = SURVEYS["ztf"]) -> dict[str, Tally]:
    """Return the counts of archived alerts by observing night, from published columns."""
    days = np.floor(alerts["i:jd"].to_numpy() + survey.night_offset_days - 0.5)
    return {survey.night(float(day) + 0.5 - survey.night_offset_days): Tally.of(alerts.filter(pa.array(days == day)))
            for day in np.unique(days)}  # fmt: skip


def added(tallies: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Return the sums of counts by night."""
    total: dict[str, Tally] = {}
    for each in tallies:
        for night, tally in each.items():
            total[night] = total.get(night, Tally()) + tally
    return total


def record_key(night: str, survey: Survey = SURVEYS["ztf"]) -> str:
    """Return the key of a night's record, such as ``ztf_20240101``."""
    return f"{survey.name}_{night}"


class NightStatistics:
    """The records of nights, kept up with the commits of the archive.

    Parameters
    ----------
    archived : AlertTable
        The table whose commits tell the counts, under ``nights`` of their details.
    archive : Archive
        Where the records go.
    """

    def __init__(self, archived: AlertTable, archive: Archive) -> None:
        self._archived, self._archive = archived, archive

    def catch_up(self) -> None:
        """Add what commits say that were not added yet.

        Raises
        ------
        ArchiveAway
            If the database does not answer; nothing is lost, the next call adds it.
        """
        with self._alone():
            number = self._read(_NEXT).get("next", 0)
            while commits := self._archived.log.read_from(number, _COMMITS_AT_ONCE):
                sums: dict[str, tuple[Tally, int]] = {}
                for place, commit in enumerate(commits, start=number):
                    for night, content in commit.details.get("nights", {}).items():
                        tally, reached = sums.get(night) or self._kept(night)
                        if place >= reached:
                            sums[night] = (tally + Tally.from_json(content), place + 1)
                for night, (tally, reached) in sums.items():
                    self._put(night, tally, reached)
                number += len(commits)
                self._write(_NEXT, {"next": number})

    def replace(self, night: str, tally: Tally, reached: int) -> None:
        """Set the record of a night that was archived anew: what was counted of it so far no longer holds.

        Parameters
        ----------
        night : str
            Observing night, ``YYYYMMDD``.
        tally : Tally
            Counts of the alerts of the night that archive commits of a number below ``reached`` took in.
        reached : int
            Number of the first commit of the archive whose counts are still to be added.

        Raises
        ------
        ArchiveAway
            If the database does not answer.
        """
        with self._alone():
            for commit in self._later(reached):
                content = commit.details.get("nights", {}).get(night)
                tally = tally + Tally.from_json(content) if content else tally
                reached += 1
            self._put(night, tally, reached)

    def put_all(self) -> None:
        """Write the records of all nights that have one, such as after the database was emptied.

        Raises
        ------
        ArchiveAway
            If the database does not answer.
        """
        with self._alone():
            for info in self._archived.storage.find(FOLDER, ".json"):
                night = info.base_name.removesuffix(".json")
                if f"{FOLDER}/{info.base_name}" != _NEXT:
                    tally, reached = self._kept(night)
                    self._put(night, tally, reached)

    def _later(self, number: int) -> Iterator[Commit]:
        """Give the commits from a number on."""
        while commits := self._archived.log.read_from(number, _COMMITS_AT_ONCE):
            yield from commits
            number += len(commits)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process of this machine change sums while the block lasts."""
        storage = self._archived.storage
        if not storage.is_local:  # no lock is to be had there
            yield
            return
        storage.make_folder(FOLDER)
        with Path(storage.root, _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _put(self, night: str, tally: Tally, reached: int) -> None:
        self._archive.put_records(STATISTICS, [(record_key(night), tally.record())])
        self._write(f"{FOLDER}/{night}.json", {"reached": reached, **tally.to_json()})

    def _kept(self, night: str) -> tuple[Tally, int]:
        content = self._read(f"{FOLDER}/{night}.json")
        return (Tally.from_json(content), int(content["reached"])) if content else (Tally(), 0)

    def _read(self, path: str) -> dict[str, Any]:
        storage = self._archived.storage
        found: dict[str, Any] = json.loads(storage.read(path)) if storage.exists(path) else {}
        return found

    def _write(self, path: str, content: Mapping[str, Any]) -> None:
        self._archived.storage.make_folder(FOLDER)
        self._archived.storage.write_atomically(path, json.dumps(content, separators=(",", ":")).encode())


def _count(holds: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.fill_null(holds, False)).as_py() or 0)
