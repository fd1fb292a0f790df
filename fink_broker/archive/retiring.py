"""Files that nobody needs any more, and when they go.

Whoever looked at a night before it was merged may still be reading its old files. They are listed in
``_retired/<night>-<generation>.json``, and removed some time later. The list is written before the merged night is, and
holds only once the night is of that generation: a kill between the two removes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

from fink_broker.archive.merged_night import MergedNights
from fink_broker.archive.storage import Storage
from fink_broker.errors import DataError

RETIRED = "_retired"
#: for which those who read keep what they need
GRACE_SECONDS = 900.0


@dataclass(frozen=True)
class Freed:
    """What was removed, or would be: files and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Freed) -> Freed:
        """Return both together."""
        return Freed(self.files + other.files, self.bytes + other.bytes)


def retire(storage: Storage, night: str, generation: int, paths: Sequence[str], now: float | None = None) -> None:
    """List files that go some time after a night has become of this generation.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    night : str
        Observing night, ``YYYYMMDD``.
    generation : int
        Of the files that take their place.
    paths : sequence of str
        The files, relative to the table.
    now : float, optional
        Unix time in seconds; default: that of the clock.
    """
    entry = {"night": night, "generation": generation, "since": now or time.time(), "paths": list(paths)}
    storage.make_folder(RETIRED)
    storage.write_atomically(f"{RETIRED}/{night}-{generation:06d}.json", json.dumps(entry).encode())


def retired_paths(storage: Storage, night: str = "") -> set[str]:
    """Return the files that are listed to go; of one observing night, if one is named."""
    lists = [info.base_name for info in storage.find(RETIRED, ".json") if info.base_name.startswith(night)]
    return {path for name in lists for path in _read(storage, name)["paths"]}


def retire_strangers(storage: Storage, night: str, paths: Sequence[str]) -> None:
    """List files to go that no batch and no merge has brought to a night, beside those listed before."""
    name = f"{night}-{0:06d}.json"  # of no generation: they go whether the night is merged or not
    before = _read(storage, name)["paths"] if storage.exists(f"{RETIRED}/{name}") else []
    retire(storage, night, 0, list(dict.fromkeys([*before, *paths])))


def unlist_unfinished(storage: Storage, night: str) -> None:
    """Remove lists of files to go of a merge that was cut short before it was in force."""
    current = MergedNights(storage).read(night)
    generation = 0 if current is None else current.generation
    for info in storage.find(RETIRED, ".json"):
        if info.base_name.startswith(f"{night}-") and _read(storage, info.base_name)["generation"] > generation:
            storage.remove(f"{RETIRED}/{info.base_name}")


def purge(
    storage: Storage,
    grace_seconds: float = GRACE_SECONDS,
    needed: Collection[str] = (),
    *,
    night: str = "",
    at_once: Collection[str] = (),
    dry_run: bool = False,
    now: float | None = None,
) -> Freed:
    """Remove files that have been out of use for some time.

    Parameters
    ----------
    storage : Storage
        The table's folder.
    grace_seconds : float
        How long they are kept.
    needed : collection of str
        Files that stay, because something unfinished names them; paths relative to the table.
    night : str
        Only files of this night; empty: of all.
    at_once : collection of str
        Nights whose files are not kept any longer.
    dry_run : bool
        Whether only to tell what would go.
    now : float, optional
        Unix time in seconds; default: that of the clock.
    """
    freed, now = Freed(), now or time.time()
    merged = MergedNights(storage)
    for info in storage.find(RETIRED, ".json"):
        if not info.base_name.startswith(night):
            continue
        entry = _read(storage, info.base_name)
        current = merged.read(entry["night"])
        in_force = entry["generation"] <= (0 if current is None else current.generation)
        grace = 0.0 if entry["night"] in at_once else grace_seconds
        if not in_force or entry["since"] + grace > now:
            continue
        kept = set(needed).intersection(entry["paths"])
        for path in entry["paths"]:
            if path not in kept:
                freed += remove(storage, path, dry_run=dry_run)
        if not kept and not dry_run:
            storage.remove(f"{RETIRED}/{info.base_name}")
    return freed


def remove(storage: Storage, path: str, *, dry_run: bool = False) -> Freed:
    """Remove a file, or a folder with all in it; return what that frees."""
    info = storage.info(path)
    if info.type == fs.FileType.NotFound:
        return Freed()
    if info.type == fs.FileType.File:
        freed = Freed(1, info.size)
        if not dry_run:
            storage.remove(path)
        return freed
    found = storage.find(path, recursive=True)
    if not dry_run:
        storage.remove_folder(path)
    return Freed(len(found), sum(info.size for info in found))


def _read(storage: Storage, name: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(storage.read(f"{RETIRED}/{name}"))
        return {key: entry[key] for key in ("night", "generation", "since", "paths")}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{storage.uri(f'{RETIRED}/{name}')}, a list of files out of use, is damaged: {error}.",
            "Remove it; `fink archive check` then tells of the files it named.",
        ) from error
