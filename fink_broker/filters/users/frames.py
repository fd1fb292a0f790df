"""What goes through the pipes between the broker and the process of users' functions: JSON, and bytes beside it.

A message is 4 bytes with the length of a JSON object, 8 bytes with the length of the bytes that follow it, the object,
and the bytes. Nothing that comes back can run anything: the object is data, the bytes are truth values.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<IQ")
MOST_JSON = 1 << 20
MOST_BYTES = 1 << 26
_PIECE = 1 << 20

Message = dict[str, Any]


class Silence(Exception):
    """The other side did not answer, or did not listen, in time."""


class Gone(Exception):
    """The other side has gone, or what it sent is no message."""


def packed(message: Message, payload: bytes | memoryview = b"") -> list[bytes | memoryview]:
    """Return the pieces of a message in the order in which they are written."""
    text = json.dumps(message).encode()
    return [_LENGTHS.pack(len(text), len(payload)) + text, payload]


def read(stream: BinaryIO) -> tuple[Message, bytes] | None:
    """Return the next message of a stream and the bytes beside it, None at its end; waits as long as it takes."""
    head = stream.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    length, size = _LENGTHS.unpack(head)
    return json.loads(stream.read(length)), stream.read(size)


class Pipe:
    """Two ends of pipes, with a time limit on everything.

    Parameters
    ----------
    read, write : int
        File descriptors; they become non-blocking.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        for descriptor in (read, write):
            os.set_blocking(descriptor, False)

    def send(self, message: Message, payload: bytes | memoryview = b"", seconds: float = 10.0) -> None:
        """Send a message.

        Raises
        ------
        Silence
            If the other side does not take it in time.
        Gone
            If there is nobody.
        """
        end = time.monotonic() + seconds
        for piece in packed(message, payload):
            rest = memoryview(piece)
            while rest:
                _wait(self._write, select.POLLOUT, end)
                try:
                    rest = rest[os.write(self._write, rest[:_PIECE]) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise Gone from error

    def receive(self, seconds: float) -> tuple[Message, bytes]:
        """Return the next message and the bytes beside it.

        Raises
        ------
        Silence
            If none comes in time.
        Gone
            If the other side has gone, or sent something else.
        """
        end = time.monotonic() + seconds
        length, size = _LENGTHS.unpack(self._exactly(_LENGTHS.size, end))
        if length > MOST_JSON or size > MOST_BYTES:
            raise Gone
        text = self._exactly(length, end)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Gone from error
        if not isinstance(message, dict):
            raise Gone
        return message, self._exactly(size, end)

    def _exactly(self, size: int, end: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            _wait(self._read, select.POLLIN, end)
            try:
                piece = os.read(self._read, min(size - len(found), _PIECE))
            except BlockingIOError:
                continue
            except OSError as error:
                raise Gone from error
            if not piece:
                raise Gone
            found += piece
        return bytes(found)


def _wait(descriptor: int, event: int, end: float) -> None:
    waiting = select.poll()
    waiting.register(descriptor, event)
    if not waiting.poll(max(0.0, end - time.monotonic()) * 1e3):
        raise Silence
