"""The disk a job writes to: it pauses while that is full, and warns once when it nearly is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from fink_broker.config.model import StorageConfig
from fink_broker.config.paths import free_gib, nearly_full

log = logging.getLogger(__name__)

#: between two looks at a disk that is full
SPACE_SECONDS = 5.0


class Space:
    """Free space on the disks of some folders.

    Parameters
    ----------
    storage : StorageConfig
        How much must be free, and below how much to warn.
    folders : sequence of str
        Where the job writes; a URI always has space.
    """

    def __init__(self, storage: StorageConfig, folders: Sequence[str]) -> None:
        self._storage, self._folders = storage, folders
        self._warned: set[str] = set()

    def wait(self, stop: threading.Event, say: Callable[[str], None]) -> bool:
        """Wait until there is enough: a batch that cannot be written whole is not begun; False if told to stop."""
        self._warn()
        least, paused = self._storage.min_free_gib, False
        while (full := self._full(least)) is not None:
            say(f"paused: {full[1]:.2f} GiB free on the disk of {full[0]}, {least:g} needed")
            paused = True
            if stop.wait(SPACE_SECONDS):
                return False
        if paused:
            say("running")
        return True

    def _warn(self) -> None:
        for folder in self._folders:
            warning = nearly_full(folder, self._storage.warn_free_gib)
            if warning and folder not in self._warned:
                self._warned.add(folder)
                log.warning("%s", warning)

    def _full(self, least: float) -> tuple[str, float] | None:
        """Return the folder whose disk has too little space, and how much."""
        for folder in self._folders:
            free = free_gib(folder)
            if free is not None and free < least:
                return folder, free
        return None
