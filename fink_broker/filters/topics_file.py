"""Topics of users: a TOML file (or a folder of them), one entry a topic, read again whenever it changes.

One wrong entry never takes the others down: it is told, and left out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fink_broker.errors import FinkError
from fink_broker.filters.filter import Filter
from fink_broker.filters.names import near_names
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.topic_entry import TopicEntry, told

log = logging.getLogger(__name__)

#: Tables of the file. Where topics also post to is read by the notifier.
KNOWN_TABLES = ("topic", "webhook")
MOST_BYTES = 5_000_000
#: Time after its last change in which a file may still be being written.
SETTLE_SECONDS = 0.5

Stamp = tuple[int, int, int]


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


@dataclass(frozen=True)
class OneFile:
    """What stands in one topics file.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    filters : tuple of Filter
        Its topics that are right.
    problems : tuple of Problem
        What is wrong with the others.
    companions : tuple of pathlib.Path
        Files that the topics depend on: watchlists, areas, Python files.
    broken : bool
        Whether it is no TOML at all, for example because it is being written.
    """

    file: Path
    filters: tuple[Filter, ...] = ()
    problems: tuple[Problem, ...] = ()
    companions: tuple[Path, ...] = ()
    broken: bool = False


def read_topics(path: Path, taken: Iterable[str] = BUILT_IN) -> tuple[list[Filter], list[Problem]]:
    """Return the topics of a file or of all ``.toml`` files of a folder, and what is wrong with the others.

    Parameters
    ----------
    path : pathlib.Path
        File or folder; where there is none, there are no topics.
    taken : iterable of str
        Names that a topic may not have.
    """
    return _together([_read(file) for file in topic_files(path)], taken)


def topic_files(path: Path) -> list[Path]:
    """Return the topics files at a path, in the order of their names."""
    if path.is_dir():
        return sorted(file for file in path.glob("*.toml") if not file.name.startswith("."))
    return [path] if path.exists() else []


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
    filters: list[Filter] = field(default_factory=list, init=False)
    problems: list[Problem] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self._files: dict[Path, OneFile] = {}
        self._gone = 0
        self._stamps: dict[Path, Stamp | None] = {}
        self._digests: dict[Path, str] = {}
        self._reread()

    def changed(self) -> bool:
        """Read the files again if they have changed; return whether the topics may be others now.

        Cheap enough to be asked every second: as long as no file has another size or time, none is opened.
        """
        stamps = {file: _stamp(file) for file in self._watched()}
        if stamps == self._stamps:
            self._gone = 0
            return False
        if not self._settled(stamps):
            return False
        if {file: _digest(file) for file in stamps} == self._digests:
            self._stamps = stamps
            return False
        self._reread()
        return True

    def _watched(self) -> list[Path]:
        companions = [file for one in self._files.values() for file in one.companions]
        return list(dict.fromkeys([*topic_files(self.path), *self._files, *companions]))

    def _settled(self, stamps: Mapping[Path, Stamp | None]) -> bool:
        """Tell whether nobody seems to be writing: no change just now, and what is gone was gone before."""
        now = time.time()
        if any(stamp is not None and abs(now - stamp[0] / 1e9) < self.settle_seconds for stamp in stamps.values()):
            return False
        if any(stamp is None and self._stamps.get(file) is not None for file, stamp in stamps.items()):
            self._gone += 1
            return self._gone > 1 or self.settle_seconds == 0
        return True

    def _reread(self) -> None:
        found: dict[Path, OneFile] = {}
        for file in topic_files(self.path):
            one = _read(file)
            before = self._files.get(file)
            if one.broken and before is not None:
                until = f"Correct it; until then the {len(before.filters)} topics of its last version go on."
                problem = dataclasses.replace(one.problems[0], hint=until)
                one = OneFile(file, before.filters, (problem,), before.companions)
            found[file] = one
        self._files, self._gone = found, 0
        self.filters, self.problems = _together(list(found.values()), self.taken)
        self._stamps = {file: _stamp(file) for file in self._watched()}
        self._digests = {file: _digest(file) for file in self._stamps}
        for problem in self.problems:
            log.warning("%s", problem)


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


def _read(file: Path) -> OneFile:
    """Return what stands in one file."""
    try:
        content = _parse(file)
    except (OSError, ValueError, RecursionError) as error:
        message = f"The file cannot be read: {str(error).rstrip('.')}."
        return OneFile(file, problems=(Problem(file, "", message, "Correct it."),), broken=True)
    problems = [
        Problem(file, "", f"There is no table '{name}'.", near_names(name, KNOWN_TABLES, "tables"))
        for name in content
        if name not in KNOWN_TABLES
    ]
    topics = content.get("topic", [])
    if not isinstance(topics, list):
        problems.append(Problem(file, "", "'topic' is no list of tables.", "Write [[topic]] with two brackets."))
        topics = []
    filters: list[Filter] = []
    companions: list[Path] = []
    for number, raw in enumerate(topics, start=1):
        name = _name_of(raw, number)
        try:
            entry = TopicEntry.model_validate(raw)
            companions += entry.companions(file.parent)
            filters.append(entry.filter(file.parent))
        except ValidationError as error:
            problems.append(Problem(file, name, *told(error)))
        except FinkError as error:
            problems.append(Problem(file, name, error.message, error.hint))
        except Exception as error:  # one entry never takes the others down, whatever is wrong with it
            problems.append(Problem(file, name, f"It cannot be used: {type(error).__name__}: {error}.", "Correct it."))
    return OneFile(file, tuple(filters), tuple(problems), tuple(companions))


def _parse(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES / 1e6:g} MB")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _name_of(raw: Any, number: int) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name[:80] if isinstance(name, str) and name else f"number {number}"


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
