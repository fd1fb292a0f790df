"""Topics of users: a TOML file (or a folder of them), one entry a topic, read again whenever it changes.

One wrong entry never takes the others down: it is told, and left out. Nor does one that takes its time: files are read
again in a thread, and the topics of before go on until that is done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fink_broker.filters.filter import Filter
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.topic_reading import Fingerprints, OneFile, Problem, Stamp, read_file, stamp_of

log = logging.getLogger(__name__)

#: Time after its last change in which a file may still be being written.
SETTLE_SECONDS = 0.5
#: Who asks for changes waits so long for them to be read; most are in milliseconds.
WAIT_SECONDS = 0.1


def read_topics(path: Path, taken: Iterable[str] = BUILT_IN) -> tuple[list[Filter], list[Problem]]:
    """Return the topics of a file or of all ``.toml`` files of a folder, and what is wrong with the others.

    Parameters
    ----------
    path : pathlib.Path
        File or folder; where there is none, there are no topics.
    taken : iterable of str
        Names that a topic may not have.
    """
    return _together([read_file(file) for file in _named(path)], taken)


def topic_files(path: Path) -> list[Path]:
    """Return the topics files at a path, in the order of their names; pipes, devices and folders are none."""
    return [file for file in _named(path) if file.is_file()]


@dataclass
class TopicsFile:
    """The topics of a file or folder as they are now.

    Parameters
    ----------
    path : pathlib.Path
        File or folder; it need not exist yet.
    taken : iterable of str
        Names that a topic may not have.
    settle_seconds : float
        A file is read again once so much time has passed since its last change: it may be half written.
    wait_seconds : float
        Longest time `changed` waits for files to be read.

    Attributes
    ----------
    filters : list of Filter
        The topics.
    problems : list of Problem
        What is wrong with others.
    """

    path: Path
    taken: Iterable[str] = field(default_factory=lambda: tuple(BUILT_IN))
    settle_seconds: float = SETTLE_SECONDS
    wait_seconds: float = WAIT_SECONDS
    filters: list[Filter] = field(default_factory=list, init=False)
    problems: list[Problem] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self._files: dict[Path, OneFile] = {}
        self._missing: set[Path] = set()
        self._fingerprints = Fingerprints()
        self._reading: _Reading | None = None
        self._take({file: read_file(file, None, self._fingerprints) for file in _named(self.path)})

    def changed(self) -> bool:
        """Read what has changed; return whether the topics may be others now.

        Cheap enough to be asked every second: as long as no file has another size or time, none is opened. Files are
        read in a thread: what takes longer than `wait_seconds` is told by a later call.
        """
        if self._reading is None:
            self._reading = self._start()
            if self._reading is None:
                return False
            self._reading.join(self.wait_seconds)
        if self._reading.is_alive():
            return False
        read, self._reading = self._reading.files, None
        return self._take({**self._files, **read})

    def _start(self) -> _Reading | None:
        """Begin to read the files that are due, each by itself: who keeps writing one keeps no other out."""
        there = set(_named(self.path))
        known = {file: stamp for one in self._files.values() for file, stamp in one.stamps.items()}
        stamps = {file: stamp_of(file) for file in there | known.keys()}
        missing = {file for file, stamp in stamps.items() if stamp is None and known.get(file) is not None}
        # what is gone was gone before: some editors remove a file and make it anew
        vanished = missing - self._missing if self.settle_seconds else set()
        self._missing = missing

        def moving(file: Path) -> bool:
            return file in vanished or self._is_fresh(stamp_of(file))

        def is_due(file: Path) -> bool:
            before = {} if file not in self._files else self._files[file].stamps
            changed = [one for one, stamp in before.items() if stamps[one] != stamp and not moving(one)]
            return not moving(file) and (bool(changed) or (file in there) != (file in self._files))

        due = {file: file in there for file in there | self._files.keys() if is_due(file)}
        if not due:
            return None
        reading = _Reading(due, self._files, self._fingerprints, moving)
        reading.start()
        return reading

    def _is_fresh(self, stamp: Stamp | None) -> bool:
        return stamp is not None and abs(time.time() - stamp[0] / 1e9) < self.settle_seconds

    def _take(self, files: Mapping[Path, OneFile | None]) -> bool:
        """Put what was read in the place of what was there; return whether it differs."""
        self._files = {file: one for file in sorted(files) if (one := files[file]) is not None}
        self._fingerprints.keep({file for one in self._files.values() for file in one.stamps})
        filters, problems = _together(self._files.values(), self.taken)
        for problem in problems:
            if problem not in self.problems:
                log.warning("%s", problem)
        # an entry that has not changed is the very same: equal ones may name a list whose content is another now
        same = [id(entry) for entry in filters] == [id(entry) for entry in self.filters]
        same = same and problems == self.problems
        self.filters, self.problems = filters, problems
        return not same


class _Reading(threading.Thread):
    """Reads topics files; one that never ends keeps neither the topics of before nor the end of the program waiting."""

    def __init__(
        self,
        due: Mapping[Path, bool],
        before: Mapping[Path, OneFile],
        fingerprints: Fingerprints,
        moving: Callable[[Path], bool],
    ) -> None:
        super().__init__(name="topics-file", daemon=True)
        self._due, self._before = due, before
        self._fingerprints, self._moving = fingerprints, moving
        #: What stands in each file that was due, None where it is gone.
        self.files: dict[Path, OneFile | None] = {}

    def run(self) -> None:
        for file, there in self._due.items():
            try:
                before = self._before.get(file)
                self.files[file] = read_file(file, before, self._fingerprints, self._moving) if there else None
            except Exception:  # a bug must not end the reading for good: the file stays as it was
                log.exception("%s cannot be read", file)


def _named(path: Path) -> list[Path]:
    """Return what has the name of a topics file, in the order of names, whatever it is."""
    if path.is_dir():
        return sorted(file for file in path.glob("*.toml") if not file.name.startswith("."))
    return [path] if path.exists() else []


def _together(files: Iterable[OneFile], taken: Iterable[str]) -> tuple[list[Filter], list[Problem]]:
    """Return the topics of all files; of several of one name the first stays."""
    filters: dict[str, Filter] = {}
    problems: list[Problem] = []
    reserved = set(taken)
    for one in files:
        problems += one.problems
        for entry in one.filters:
            if entry.name in reserved:
                problems.append(
                    Problem(one.file, entry.name, "The broker itself has a topic of this name.", "Rename it.")
                )
            elif entry.name in filters:
                problems.append(Problem(one.file, entry.name, "There is a topic of this name already.", "Rename one."))
            else:
                filters[entry.name] = entry
    return list(filters.values()), problems
