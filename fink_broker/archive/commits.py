"""The commit log of a table: one small JSON file a batch, written last and atomically.

A batch exists once its commit file does. Later stages read tables through the log, so they see whole batches
only; counts, provenance and latencies of every batch are there to be added up. Full folders of a thousand commits
can be packed into one file each (`commit_packs`); what the log answers stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pyarrow import fs

from fink_broker.archive.commit_packs import SUFFIX, Pack, packed
from fink_broker.archive.storage import Storage
from fink_broker.errors import CountsDoNotClose, DataError

COMMITS = "_commits"
COMMITS_IN_A_FOLDER = 1000
_LOCK = f"{COMMITS}/.lock"
#: Times the parts of a log are listed before a part that lacks is taken for lost.
_LISTINGS = 5


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a batch: path relative to its table, observing night, rows and bytes."""

    path: str
    partition: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Commit:
    """What one batch did.

    Parameters
    ----------
    id : str
        ``<query>-<batch number>``: the same when the same batch runs again.
    inputs : list of str
        Ids of the commits of the table before that this batch took in (empty for the first table).
    files : list of DataFile
        What it added to its table.
    counts : dict
        Alerts: ``in``, ``out`` and every way in between (``rejected``, ``duplicate``, ``cut``). They close.
    started, committed : float
        Unix times in seconds.
    details : dict
        What else a stage wants to tell: offsets, reasons, failures, latencies.
    """

    id: str
    inputs: list[str]
    files: list[DataFile]
    counts: dict[str, int]
    started: float
    committed: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def nights(self) -> tuple[str, ...]:
        """Observing nights it has files of."""
        return tuple(dict.fromkeys(file.partition for file in self.files))

    def __post_init__(self) -> None:
        aside = sum(number for name, number in self.counts.items() if name not in ("in", "out"))
        if self.counts["in"] != self.counts["out"] + aside:
            raise CountsDoNotClose(
                f"Batch {self.id} took in {self.counts['in']} alerts "
                f"but accounts for {self.counts['out'] + aside}: {self.counts}.",
                "Nothing of it was committed; it will run again from the same offsets.",
            )

    def to_json(self) -> bytes:
        """Return the commit as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Commit:
        """Read a commit back.

        Raises
        ------
        DataError
            If the text is no commit.
        """
        try:
            content = json.loads(text)
            content["files"] = [DataFile(**entry) for entry in content["files"]]
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"This is no commit of a table: {error}.", "Was the file edited by hand?") from error


class CommitLog:
    """All commits of one table, numbered from 0 without a gap in the order in which they were made.

    One process at a time writes to a log; any number read it. Commits lie in folders of a thousand, so that neither
    looking for new ones nor adding one takes longer the longer the broker runs.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._packs: dict[str, Pack] = {}

    def create(self) -> None:
        """Make the folder of the log."""
        self._storage.make_folder(COMMITS)

    def end(self) -> int:
        """Return the number the next commit gets."""
        for part in reversed(self._parts()):
            if ids := self._ids(part):
                return max(ids) + 1
        return 0

    def has(self, commit_id: str) -> bool:
        """Tell whether a batch is among the latest thousand commits: an older one never comes again."""
        return any(commit_id in self._ids(part).values() for part in self._parts()[-2:])

    def number_of(self, commit_id: str) -> int | None:
        """Return the number of a commit, None if there is none; the latest are found first."""
        for part in reversed(self._parts()):
            for number, name in self._ids(part).items():
                if name == commit_id:
                    return number
        return None

    def read(self, commit_id: str) -> Commit | None:
        """Return the commit of this id, None if there is none."""
        number = self.number_of(commit_id)
        return None if number is None else self.read_from(number, 1)[0]

    def read_from(self, number: int, most: int) -> list[Commit]:
        """Return up to ``most`` commits from a number on, in order."""
        commits: list[Commit] = []
        for part in self._parts_from(number):
            wanted = [found for found in sorted(self._ids(part)) if found >= number][: most - len(commits)]
            commits += self._read(part, wanted)
            if len(commits) == most:
                break
        return commits

    def read_all(self) -> list[Commit]:
        """Return all commits in the order in which they were made."""
        return list(self.each())

    def each(self) -> Iterator[Commit]:
        """Give all commits in the order in which they were made, each read when it is asked for."""
        for part in self._parts():
            yield from self._read(part, sorted(self._ids(part)))

    def newest_first(self) -> Iterator[Commit]:
        """Give all commits, the latest first, each read when it is asked for."""
        for part in reversed(self._parts()):
            yield from self._read(part, sorted(self._ids(part), reverse=True))

    def touching(self, wanted: Callable[[int, str], bool], first: int = 0) -> Iterator[tuple[int, Commit]]:
        """Give number and content of the commits that have files of some nights, in order.

        Parameters
        ----------
        wanted : callable
            Told the number of a commit and a night of its files; whether the commit is wanted for it.
        first : int
            Number from which on commits are looked at.
        """
        for part in self._parts_from(first):
            numbers = [number for number in sorted(self._ids(part)) if number >= first]
            known = self._pack(part)
            if known is not None:
                entries = known.entries
                numbers = [n for n in numbers if n in entries and any(wanted(n, night) for night in entries[n].nights)]
            for number, commit in zip(numbers, self._read(part, numbers), strict=True):
                if any(wanted(number, night) for night in commit.nights):
                    yield number, commit

    def write(self, commit: Commit) -> None:
        """Make a batch exist."""
        number = self.end()
        self._storage.make_folder(_folder(number))
        self._storage.write_atomically(_path(number, commit.id), commit.to_json())

    def pack(self) -> int:
        """Make one file of each full folder, but the last two, to which a writer may be adding; return how many.

        May be called while others read and write: until the file is there, and was read back whole, the folder is.
        Where another process packs the log nothing is done.

        Raises
        ------
        DataError
            If a file does not hold what its folder does; the folder stays.
        """
        with self._storage.locked(_LOCK) as ours:
            return sum(self._pack_folder(part) for part in self._folders()) if ours else 0

    def _folders(self) -> list[str]:
        """Return the parts that are folders to which nobody adds any more."""
        folders = self._storage.folders(COMMITS)
        return [part for part in self._parts()[:-2] if part in folders]

    def _pack_folder(self, part: str) -> bool:
        """Make one file of a folder, if it is full, and remove the folder; tell whether a file was made."""
        ids = self._ids_in_folder(part)
        full = len(ids) == COMMITS_IN_A_FOLDER
        if full:  # also where there is a file already: a folder that is whole is what holds
            commits = (Commit.from_json(self._storage.read(_path(number, ids[number]))) for number in sorted(ids))
            lines = (
                (number, commit.id, commit.nights, commit.to_json())
                for number, commit in zip(sorted(ids), commits, strict=True)
            )
            self._storage.write_atomically(_pack_path(part), packed(lines))
        elif not self._storage.exists(_pack_path(part)):
            return False
        self._check_pack(part)
        self._storage.remove_folder(f"{COMMITS}/{part}")
        return full

    def _check_pack(self, part: str) -> None:
        """Read a pack back: it must hold a full folder, and all that is still in the folder."""
        pack = Pack(self._storage, _pack_path(part))
        numbers = sorted(pack.ids)
        ids = {number: Commit.from_json(text).id for number, text in zip(numbers, pack.texts(numbers), strict=True)}
        left = self._ids_in_folder(part)
        if len(ids) != COMMITS_IN_A_FOLDER or ids != pack.ids or not left.items() <= ids.items():
            raise DataError(
                f"{self._storage.uri(_pack_path(part))} does not hold the commits of its folder.",
                "The folder stays; remove that file, and merge again.",
            )

    def _parts(self) -> list[str]:
        """Return the names of all parts of the log, each a folder or a pack."""
        names: set[str] = set()
        for _ in range(_LISTINGS):
            names = {info.base_name for info in self._storage.listing(COMMITS) if _is_part(info)}
            numbers = {int(name.removesuffix(SUFFIX)) for name in names}
            if len(numbers) == max(numbers, default=-1) + 1:
                break  # else a folder went, and its file came, while they were listed
        self._packs = {part: pack for part, pack in self._packs.items() if part + SUFFIX in names}
        return sorted({name.removesuffix(SUFFIX) for name in names})

    def _parts_from(self, number: int) -> list[str]:
        return [part for part in self._parts() if part >= _part(number)]

    def _pack(self, part: str) -> Pack | None:
        """Return the pack of a part, None where it is still a folder."""
        if part not in self._packs:
            try:
                self._packs[part] = Pack(self._storage, _pack_path(part))
            except FileNotFoundError:
                return None
        return self._packs[part]

    def _ids(self, part: str) -> dict[int, str]:
        """Return number → id of the commits of a part."""
        known = self._packs.get(part)
        if known is not None:
            return known.ids
        found = self._ids_in_folder(part)
        if len(found) < COMMITS_IN_A_FOLDER and (known := self._pack(part)) is not None:
            return known.ids  # the folder was going, or gone, while it was listed
        return found

    def _ids_in_folder(self, part: str) -> dict[int, str]:
        stems = [info.base_name.removesuffix(".json") for info in self._storage.find(f"{COMMITS}/{part}", ".json")]
        return {int(number): commit_id for number, _, commit_id in (stem.partition("-") for stem in stems)}

    def _read(self, part: str, numbers: Sequence[int]) -> Iterator[Commit]:
        """Give commits of a part, from its folder as long as there is one."""
        done = 0
        if part not in self._packs:
            ids = self._ids(part)
        if part not in self._packs:
            try:
                for number in numbers:
                    yield Commit.from_json(self._storage.read(_path(number, ids[number])))
                    done += 1
                return
            except FileNotFoundError:
                if self._pack(part) is None:
                    raise
        yield from map(Commit.from_json, self._packs[part].texts(numbers[done:]))


def _is_part(info: fs.FileInfo) -> bool:
    name: str = info.base_name
    return name.isdigit() if info.type == fs.FileType.Directory else name.removesuffix(SUFFIX).isdigit()


def _part(number: int) -> str:
    return f"{number // COMMITS_IN_A_FOLDER:06d}"


def _folder(number: int) -> str:
    return f"{COMMITS}/{_part(number)}"


def _path(number: int, commit_id: str) -> str:
    return f"{_folder(number)}/{number:09d}-{commit_id}.json"


def _pack_path(part: str) -> str:
    return f"{COMMITS}/{part}{SUFFIX}"
