"""The few file operations a commit needs, on any file system Arrow knows (local, HDFS, S3)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

#: How the names of files end that are being written.
TEMPORARY = ".tmp"


class Storage:
    """A folder on some file system.

    Parameters
    ----------
    location : str
        A local folder or a URI such as ``hdfs://host:port/folder``.
    """

    def __init__(self, location: str) -> None:
        if "://" in location:
            self.files, self.root = fs.FileSystem.from_uri(location)
        else:
            self.files, self.root = fs.LocalFileSystem(), str(Path(location).absolute())
        self.is_local = isinstance(self.files, fs.LocalFileSystem)
        self.location = location.rstrip("/") if "://" in location else self.root

    def uri(self, path: str) -> str:
        """Return what Spark opens for a path relative to this folder."""
        return f"{self.location}/{path}"

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}" if path else self.root

    def find(self, path: str, suffix: str = "", recursive: bool = False) -> list[fs.FileInfo]:
        """Return files below ``path`` that end in ``suffix``, by name; none if the folder is absent."""
        found = [
            info
            for info in self._below(path, recursive=recursive)
            if info.type == fs.FileType.File and info.path.endswith(suffix)
        ]
        return sorted(found, key=lambda info: info.path)

    def _below(self, path: str, recursive: bool = False) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._full(path), recursive=recursive, allow_not_found=True)
        try:
            return list(self.files.get_file_info(selector))
        except FileNotFoundError:  # the folder, or one in it, was made or removed between Arrow's two looks
            return list(self.files.get_file_info(selector))

    def folders(self, path: str) -> list[str]:
        """Return names of the folders directly below ``path``."""
        return sorted(info.base_name for info in self._below(path) if info.type == fs.FileType.Directory)

    def listing(self, path: str) -> list[fs.FileInfo]:
        """Return files and folders directly below ``path``, by name; none if it is absent."""
        return sorted(self._below(path), key=lambda info: info.base_name)

    def info(self, path: str) -> fs.FileInfo:
        """Return kind, size in bytes and time of a file or folder; its kind is NotFound if it is absent."""
        return self.files.get_file_info(self._full(path))

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any place."""
        return self.files.open_input_file(self._full(path))

    def make_folder(self, path: str) -> None:
        """Create a folder and those above it."""
        self.files.create_dir(self._full(path), recursive=True)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all it holds; absent is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.files.delete_dir(self._full(path))

    def remove_empty_folder(self, path: str, seconds: float) -> None:
        """Remove a local folder that is empty and has been left alone for some seconds."""
        folder = Path(self._full(path))
        if self.is_local and folder.is_dir() and folder.stat().st_mtime < time.time() - seconds:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def remove(self, path: str) -> None:
        """Remove a file; absent is fine."""
        with contextlib.suppress(FileNotFoundError):
            self.files.delete_file(self._full(path))

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""
        return self.files.get_file_info(self._full(path)).type != fs.FileType.NotFound

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        with self.files.open_input_stream(self._full(path)) as stream:
            return stream.read()

    def move(self, source: str, target: str) -> None:
        """Rename a file; on a local disk it has reached the disk before it gets its final name."""
        if self.is_local:
            _sync(self._full(source))
        self.files.move(self._full(source), self._full(target))

    def write_atomically(self, path: str, content: bytes) -> None:
        """Write a file that is either absent or whole, whatever happens and whoever writes it at the same time."""
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex[:12]}{TEMPORARY}"
        try:
            with self.files.open_output_stream(self._full(temporary)) as stream:
                stream.write(content)
            self.move(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                self.remove(temporary)
            raise

    @contextlib.contextmanager
    def locked(self, path: str) -> Iterator[bool]:
        """Hold a lock while the block lasts, and tell whether it was to be had.

        Only a local disk has locks, for the processes of this machine; elsewhere it is always told to be had.
        """
        if not self.is_local:
            yield True
            return
        self.make_folder(path.rpartition("/")[0])
        with Path(self._full(path)).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _sync(path: str) -> None:
    """Wait until a local file is on the disk, so that a power cut cannot empty a committed file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
