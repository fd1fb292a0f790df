"""Users' files opened with a limit on their size, packed and unpacked, and told apart by their content."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
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


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading if it is a regular one; pipes and devices, which may keep a reader waiting, are not.

    Raises
    ------
    OSError
        If it is none, or cannot be opened.
    """
    # looked at when open: what a path names may change between two looks. A pipe opened this way does not wait
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_limited(path: Path, largest_bytes: int) -> bytes:
    """Return what a regular file holds.

    Raises
    ------
    OSError
        If it is no regular file, or cannot be read.
    ValueError
        If it is larger than the limit.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(largest_bytes + 1) if 0 < size <= largest_bytes else b""
    if size > largest_bytes or len(content) > largest_bytes:
        raise ValueError(f"it is larger than {largest_bytes / 1e6:g} MB")
    return content


def fingerprint(path: Path, largest_bytes: int) -> str:
    """Return what changes with the content of a regular file, empty if there is none that can be read.

    That is the SHA-256 (hexadecimal), or of a file larger than the limit its size: nobody reads such a file.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= largest_bytes:
                return f"{size} bytes"
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


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
        with open_regular(path) as file, tempfile.TemporaryFile() as unpacked:
            size = os.fstat(file.fileno()).st_size
            _refuse_large(path, size, largest_bytes)
            if not size:  # not even tried: what the system shows as files of no size may never end
                raise ConfigError(f"'{path.name}' is empty.", "Write it anew.")
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
