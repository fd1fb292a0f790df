"""What clients wrote: the query string, JSON, forms and files, as a dictionary of texts and JSON values.

Nothing here is evaluated: a text that looks like a Python bytes literal is decoded as one, and as nothing else.
"""

from __future__ import annotations

import ast
import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from fink_broker.portal.route import RequestError

#: most fields of a form or a query string
MOST_FIELDS = 200

_NOT_JSON = "The body of the request is not a JSON object: {}.\n"
_BYTES_LITERAL = re.compile(r"""\s*b(?:'(?:[^'\\\r\n]|\\[^\r\n])*'|"(?:[^"\\\r\n]|\\[^\r\n])*")\s*""")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s_-]+={0,2}\s*", re.ASCII)


def from_query(query_string: bytes) -> dict[str, Any]:
    """Return the arguments of a query string; of a name that is there twice, the first counts.

    Raises
    ------
    RequestError
        If there are too many of them.
    """
    return _first_of(_pairs(query_string))


def from_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the arguments of a body: a JSON object, a form, or a form with files.

    Parameters
    ----------
    body : bytes
        The whole body; none is an empty dictionary.
    content_type : str
        What the client says it is. A body that looks like JSON is read as JSON whatever it says.

    Raises
    ------
    RequestError
        400 if it cannot be read, 415 if it is of another kind.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _from_multipart(body, content_type)
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        return {}
    if kind == "application/x-www-form-urlencoded" and start[:1] not in (b"{", b"["):
        return _first_of(_pairs(body))
    if kind in ("", "application/json", "application/x-www-form-urlencoded") or kind.startswith("text/"):
        return _from_json(body)
    raise RequestError("The body of a request is a JSON object or a form (multipart for files).\n", status=415)


def parse_upload(written: Any) -> bytes:
    r"""Return the content of a file: bytes as they are, base64, or the text of a Python bytes literal (``b'\x1f…'``).

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(written, bytes):
        return written
    if not isinstance(written, str):
        raise ValueError("must be a file, or base64")
    if _BYTES_LITERAL.fullmatch(written):
        try:
            content = ast.literal_eval(written.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            content = None
        if isinstance(content, bytes):
            return content
    elif _BASE64.fullmatch(written):
        try:
            return base64.b64decode("".join(written.split()).replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise ValueError("is neither base64 nor a file of a multipart form")


def _pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise RequestError("The request is not UTF-8.\n") from None
    except ValueError:
        raise RequestError(f"The request has more than {MOST_FIELDS} arguments.\n") from None


def _first_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _from_json(body: bytes) -> dict[str, Any]:
    """Read a JSON object; constants that JSON does not have, and names given twice, are refused."""
    try:
        content = json.loads(body, object_pairs_hook=_once_each, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(_NOT_JSON.format("it is nested too deeply")) from None
    except ValueError as error:  # malformed, not text, numbers of thousands of digits
        raise RequestError(_NOT_JSON.format(" ".join(str(error).split())[:200])) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RequestError(_NOT_JSON.format('write {"name": value, …}'))
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


class _Parts:
    """The parts of a multipart form, collected as its parser goes along."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, Any]] = []
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def callbacks(self) -> Any:
        return {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}

    def on_part_begin(self) -> None:
        self._headers, self._data = {}, []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def on_part_end(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("utf-8", "replace")
        name = re.search(r'\bname="([^"]*)"', disposition)
        if not name:
            raise ValueError("a part has no name")
        if len(self.pairs) >= MOST_FIELDS:
            raise ValueError("it has too many parts")
        content = b"".join(self._data)
        is_file = re.search(r"\bfilename\*?=", disposition) is not None
        self.pairs.append((name.group(1), content if is_file else content.decode("utf-8")))


def _from_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    boundary = re.search(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', content_type)
    if not boundary:
        raise RequestError("The multipart body has no boundary.\n")
    parts = _Parts()
    try:
        parser = MultipartParser((boundary.group(1) or boundary.group(2)).encode(), parts.callbacks())
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise RequestError(f"The multipart body cannot be read: {' '.join(str(error).split())[:200]}.\n") from None
    return _first_of(parts.pairs)
