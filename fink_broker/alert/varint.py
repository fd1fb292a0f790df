"""The few primitives of Avro's binary encoding that a container file is made of."""

from __future__ import annotations

from typing import Any

from fink_broker.errors import DataError

_LONGEST = 10  # bytes of a 64-bit number


class Cursor:
    """A place in Avro data, moved on by reading.

    Parameters
    ----------
    data : bytes or mmap
        What is read; it is never read beyond its end, whatever lengths it claims.
    at : int
        Where to begin.
    """

    def __init__(self, data: Any, at: int = 0) -> None:
        self._data = data
        self.at = at

    @property
    def at_end(self) -> bool:
        """Whether all has been read."""
        return self.at >= len(self._data)

    def number(self) -> int:
        """Read a long (zig-zag, 7 bits a byte, the lowest first).

        Raises
        ------
        DataError
            If the data end within it, or it is longer than any 64-bit number.
        """
        value = 0
        for place, byte in enumerate(self._data[self.at : self.at + _LONGEST]):
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                self.at += place + 1
                return (value >> 1) ^ -(value & 1)
        if len(self._data) - self.at < _LONGEST:
            raise DataError("The packet is truncated.")
        raise DataError("The packet is damaged: a number is longer than 64 bits.")

    def take(self, size: int) -> bytes:
        """Read that many bytes.

        Raises
        ------
        DataError
            If there are not that many.
        """
        left = len(self._data) - self.at
        if not 0 <= size <= left:
            raise DataError(f"The packet is truncated: {size} bytes should follow, {left} do.")
        taken = bytes(self._data[self.at : self.at + size])
        self.at += size
        return taken

    def sized(self) -> bytes:
        """Read bytes with their length before them."""
        return self.take(self.number())

    def text(self) -> str:
        """Read UTF-8 text with its length before it.

        Raises
        ------
        DataError
            If it is no UTF-8.
        """
        try:
            return self.sized().decode()
        except UnicodeDecodeError as error:
            raise DataError("The packet is damaged: a name in its header is no text.") from error


def zigzag(number: int) -> bytes:
    """Encode a 64-bit number as an Avro long."""
    left = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while left > 0x7F:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)
