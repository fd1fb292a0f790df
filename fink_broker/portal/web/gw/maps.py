"""Skymaps that visitors upload, or that were fetched for them: kept for an hour after their last use.

A file is named by the digest of its content: one that many ask for is kept once, and nobody guesses another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from pathlib import Path

#: largest file, in bytes
LARGEST = 100 << 20
#: how long one is kept, and how many bytes of all at most
KEPT_SECONDS, MOST_BYTES = 3600.0, 2 << 30
_NAME = re.compile(r"[0-9a-f]{64}")
_ENDING, _PART = ".skymap", ".part"


class MapFolder:
    """A folder of skymaps.

    Parameters
    ----------
    path : Path
        The folder; made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, content: bytes) -> str:
        """Keep a file and return its name; those longest without use go where there is much.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = hashlib.sha256(content).hexdigest()
        if self.find(name) is None:
            part = self.path / f"{name}.{secrets.token_hex(4)}{_PART}"
            try:
                part.write_bytes(content)
                part.replace(self.path / f"{name}{_ENDING}")
            finally:
                part.unlink(missing_ok=True)
        self._clean()
        return name

    def find(self, name: object) -> Path | None:
        """Return the file of a name, which counts as a use; None if there is none, or that is no name."""
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            return None
        path = self.path / f"{name}{_ENDING}"
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def _clean(self) -> None:
        now, found = time.time(), []
        for path in (*self.path.glob(f"*{_ENDING}"), *self.path.glob(f"*{_PART}")):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((now - status.st_mtime, path, status.st_size))
        size = 0
        for age, path, bytes_ in sorted(found):
            size += bytes_
            if age > KEPT_SECONDS or size > MOST_BYTES:
                path.unlink(missing_ok=True)
