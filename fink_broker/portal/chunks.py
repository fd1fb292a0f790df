"""An answer cut into chunks to send, compressed where the client takes it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from fink_broker.portal.envelope import Reply

#: bytes that are sent at once, unless the answer ends before
CHUNK_BYTES = 64 * 1024
#: answers shorter than this are not compressed
LEAST_COMPRESSED = 4 * 1024
#: zlib's fastest level: a tenth of the time of its default for JSON a tenth larger
LEVEL = 1


@dataclass
class Chunks:
    """An answer cut into chunks to send.

    Parameters
    ----------
    reply : Reply
        The answer.
    compress : bool
        Whether the client accepts gzip.
    first : tuple of bytes and bool
        The first chunk, and whether it is the last.
    """

    reply: Reply
    compress: bool
    first: tuple[bytes, bool] = (b"", True)

    def __post_init__(self) -> None:
        self._pieces: Iterator[bytes | memoryview] = self.reply.pieces
        self._packer: zlib._Compress | None = None
        self._lock = threading.Lock()
        self.is_first = True

    def next(self) -> tuple[bytes, bool]:
        """Return the next chunk, and whether it is the last."""
        with self._lock:
            return self._next()

    def _next(self) -> tuple[bytes, bool]:
        parts: list[bytes | memoryview] = []
        size = 0
        is_last = True
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES:
                is_last = False
                break
        if self.is_first and self.compress and not self.reply.is_dense and size >= LEAST_COMPRESSED:
            self._packer = zlib.compressobj(LEVEL, wbits=31)
            self.reply.headers["Content-Encoding"] = "gzip"
        self.is_first = False
        if self._packer is None:
            return b"".join(parts), is_last
        packed = [self._packer.compress(part) for part in parts]
        return b"".join([*packed, self._packer.flush()] if is_last else packed), is_last

    def close(self) -> None:
        """Let go of what the answer is read from, as soon as nobody reads it any more."""
        close = getattr(self._pieces, "close", None)
        if close:
            with self._lock:
                close()
