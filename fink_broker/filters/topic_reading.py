"""What stands in one topics file, entry by entry; what has not changed since it was last read is not made anew."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fink_broker.errors import FinkError
from fink_broker.filters.filter import Filter
from fink_broker.filters.names import near_names
from fink_broker.filters.places.limited_file import MIB, fingerprint, read_limited
from fink_broker.filters.topic_entry import TopicEntry, told

#: Tables of the file. Where topics also post to is read by the notifier.
KNOWN_TABLES = ("topic", "webhook")
MOST_BYTES = 5_000_000
#: Nothing a topic may name is larger: maps are the largest.
LARGEST_COMPANION = 1024 * MIB

#: Times of the last changes (content; content or rights), size, inode.
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a topics file, or with an entry of it.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    name : str
        The name of the entry, or its number; empty if it is the whole file.
    message : str
        One sentence that says what is wrong.
    hint : str
        One sentence that says how to mend it.
    """

    file: Path
    name: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        entry = f", topic '{self.name}'" if self.name else ""
        return f"{self.file}{entry}: {self.message} {self.hint}".strip()


@dataclass(frozen=True, eq=False)
class Entry:
    """What became of one ``[[topic]]``.

    Parameters
    ----------
    name : str
        Its name, or its number.
    raw : str
        Its keys, as text.
    companions : tuple of pathlib.Path
        Files it depends on: a watchlist, an area, a Python file.
    fingerprints : tuple of str
        What those held.
    outcome : Filter or Problem
        The topic, or what is wrong with it.
    lasting : bool
        Whether the same keys and files would lead to the same outcome.
    """

    name: str
    raw: str
    companions: tuple[Path, ...]
    fingerprints: tuple[str, ...]
    outcome: Filter | Problem
    lasting: bool = True


@dataclass(frozen=True)
class OneFile:
    """What stands in one topics file.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    entries : tuple of Entry
        Its topics, right and wrong.
    faults : tuple of Problem
        What is wrong with it besides.
    stamps : mapping of pathlib.Path to Stamp
        Of the file and those its topics depend on, as they were just before they were read.
    """

    file: Path
    entries: tuple[Entry, ...] = ()
    faults: tuple[Problem, ...] = ()
    stamps: Mapping[Path, Stamp | None] = field(default_factory=dict)

    @property
    def filters(self) -> list[Filter]:
        """Its topics that are right."""
        return [entry.outcome for entry in self.entries if isinstance(entry.outcome, Filter)]

    @property
    def problems(self) -> list[Problem]:
        """All that is wrong with it."""
        return [*self.faults, *(entry.outcome for entry in self.entries if isinstance(entry.outcome, Problem))]


class Fingerprints:
    """Fingerprints of files, taken again only when a file has another stamp."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Stamp | None, str]] = {}

    def of(self, file: Path) -> tuple[Stamp | None, str]:
        """Return the stamp of a file and the fingerprint it has since."""
        stamp = stamp_of(file)
        known = self._known.get(file)
        if known is None or known[0] != stamp:
            # the stamp is from before: a change in between is noticed at the next look
            known = self._known[file] = (stamp, fingerprint(file, LARGEST_COMPANION))
        return known

    def keep(self, files: Collection[Path]) -> None:
        """Forget all other files."""
        self._known = {file: known for file, known in self._known.items() if file in files}


def read_file(
    file: Path,
    before: OneFile | None = None,
    fingerprints: Fingerprints | None = None,
    moving: Callable[[Path], bool] = lambda _: False,
) -> OneFile:
    """Return what stands in one file.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    before : OneFile, optional
        What stood in it at the last reading: entries that have not changed are taken from there.
    fingerprints : Fingerprints, optional
        Those known already.
    moving : callable
        Tells of a file whether somebody may be writing it at this moment: entries that depend on it stay as they were.
    """
    fingerprints, stamp = fingerprints or Fingerprints(), stamp_of(file)
    try:
        content = tomllib.loads(read_limited(file, MOST_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        return _unreadable(file, stamp, error, before)
    faults = [
        Problem(file, "", f"There is no table '{name}'.", near_names(name, KNOWN_TABLES, "tables"))
        for name in content
        if name not in KNOWN_TABLES
    ]
    topics = content.get("topic", [])
    if not isinstance(topics, list):
        faults.append(Problem(file, "", "'topic' is no list of tables.", "Write [[topic]] with two brackets."))
        topics = []
    reader = _Reader(file, before or OneFile(file), fingerprints, moving)
    entries = tuple(reader.entry(raw, number) for number, raw in enumerate(topics, start=1))
    return OneFile(file, entries, tuple(faults), {**reader.stamps, file: stamp})


def stamp_of(file: Path) -> Stamp | None:
    """Return what changes when a file does, None if there is none."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _unreadable(file: Path, stamp: Stamp | None, error: Exception, before: OneFile | None) -> OneFile:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    problem = Problem(file, "", f"The file cannot be read: {why.rstrip('.')}.", "Correct it.")
    if before is None:
        return OneFile(file, faults=(problem,), stamps={file: stamp})
    number = len(before.filters)
    if number:
        these = "topic of its last version goes on" if number == 1 else f"{number} topics of its last version go on"
        problem = dataclasses.replace(problem, hint=f"Correct it; until then the {these}.")
    entries = tuple(entry for entry in before.entries if isinstance(entry.outcome, Filter))
    return OneFile(file, entries, (problem,), {**{one: stamp_of(one) for one in before.stamps}, file: stamp})


class _Reader:
    """Makes entries of a file, or finds them among those of the last reading."""

    def __init__(self, file: Path, before: OneFile, fingerprints: Fingerprints, moving: Callable[[Path], bool]) -> None:
        self._file, self._fingerprints, self._moving = file, fingerprints, moving
        self._before = before
        self._known = {(entry.raw, entry.companions): entry for entry in before.entries if entry.lasting}
        self._named = {entry.name: entry for entry in before.entries}
        self.stamps: dict[Path, Stamp | None] = {}

    def entry(self, raw: Any, number: int) -> Entry:
        name, text = _name_of(raw, number), repr(raw)
        try:
            parsed = TopicEntry.model_validate(raw)
            companions = tuple(parsed.companions(self._file.parent))
        except Exception as error:  # one entry never takes the others down, whatever is wrong with it
            return Entry(name, text, (), (), self._problem(name, error), lasting=False)
        if any(self._moving(companion) for companion in companions):
            return self._waiting(name, text, companions)
        prints = tuple(self._fingerprint(companion) for companion in companions)
        known = self._known.get((text, companions))
        if known is not None and known.fingerprints == prints:
            return known
        try:
            return Entry(name, text, companions, prints, parsed.filter(self._file.parent))
        except FinkError as error:
            return Entry(name, text, companions, prints, self._problem(name, error))
        except Exception as error:  # as above
            return Entry(name, text, companions, prints, self._problem(name, error), lasting=False)

    def _fingerprint(self, companion: Path) -> str:
        stamp, found = self._fingerprints.of(companion)
        self.stamps[companion] = stamp
        return found

    def _waiting(self, name: str, text: str, companions: tuple[Path, ...]) -> Entry:
        """Return an entry as it was before; its stamps stay, too, so that it is looked at again."""
        for companion in companions:
            self.stamps[companion] = self._before.stamps.get(companion)
        if name in self._named:
            return self._named[name]
        message = f"'{companions[0].name}' is being written."
        problem = Problem(self._file, name, message, "The topic begins once the file is left alone.")
        return Entry(name, text, companions, (), problem, lasting=False)

    def _problem(self, name: str, error: Exception) -> Problem:
        if isinstance(error, ValidationError):
            return Problem(self._file, name, *told(error))
        if isinstance(error, FinkError):
            return Problem(self._file, name, error.message, error.hint)
        return Problem(self._file, name, f"It cannot be used: {type(error).__name__}: {error}.", "Correct it.")


def _name_of(raw: Any, number: int) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name[:80] if isinstance(name, str) and name else f"number {number}"
