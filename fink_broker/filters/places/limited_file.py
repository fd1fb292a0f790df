"""Users' files opened with a limit on their size, packed and unpacked, and told apart by their content."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fink_broker.errors import ConfigError

MIB = 1024**2
_GZIP = b"\x1f\x8b"
_PIECE = 4 * MIB


@dataclass(frozen=True)
class Opened:
    """A file open for reading, unpacked if it was packed.

    Parameters
    ----------
    name : str
        For messages.
    file : binary file
        At its beginning; a true file, so that it can be mapped into memory.
    size : int
        Bytes, unpacked.
    digest : str
        SHA-256 (hexadecimal) of the file as it lies on disk.
    """

    name: str
    file: IO[bytes]
    size: int
    digest: str

    def head(self, count: int) -> bytes:
        """Return the first bytes."""
        self.file.seek(0)
        head = self.file.read(count)
        self.file.seek(0)
        return head

    def bytes(self) -> bytes:
        """Return all of it."""
        self.file.seek(0)
        return self.file.read()

    def text(self) -> str:
        """Return all of it as text, without the mark some editors put in front.

        Raises
        ------
        ConfigError
            If it is not UTF-8.
        """
        try:
            return self.bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"'{self.name}' is not text: byte {error.start + 1} is no UTF-8.", "Save it as text in UTF-8."
            ) from error


@contextmanager
def open_limited(path: Path, largest_bytes: int) -> Iterator[Opened]:
    """Open a file of a user; one packed with gzip is unpacked beside, up to the limit and no further.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    largest_bytes : int
        Limit on its size, both as it lies there and unpacked.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be read, is empty, larger than the limit, or its packing is damaged.
    """
    if not path.is_file():
        raise ConfigError(f"There is no file '{path}'.", "Give the path of a file that is there.")
    try:
        with path.open("rb") as file, tempfile.TemporaryFile() as unpacked:
            size = path.stat().st_size
            _refuse_large(path, size, largest_bytes)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            packed = file.read(2) == _GZIP
            file.seek(0)
            if packed:
                size = _unpack(path, file, unpacked, largest_bytes)
            if not size:
                raise ConfigError(f"'{path.name}' is empty.", "Write it anew.")
            with os.fdopen(os.dup(unpacked.fileno() if packed else file.fileno()), "rb") as reader:
                reader.seek(0)
                yield Opened(path.name, reader, size, digest)
    except OSError as error:
        raise ConfigError(
            f"'{path}' cannot be read: {error.strerror or error}.", "See to its access rights."
        ) from error


def _unpack(path: Path, packed: IO[bytes], into: IO[bytes], largest_bytes: int) -> int:
    size = 0
    try:
        with gzip.open(packed) as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                _refuse_large(path, size, largest_bytes)
                into.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError(f"'{path.name}' is damaged: it cannot be unpacked.", "Fetch it again.") from error
    into.flush()
    return size


def _refuse_large(path: Path, size: int, largest_bytes: int) -> None:
    if size > largest_bytes:
        raise ConfigError(
            f"'{path.name}' is larger than {largest_bytes // MIB} MiB.",
            "Keep what is needed of it: fewer rows, fewer columns, or a map with larger pixels.",
        )
