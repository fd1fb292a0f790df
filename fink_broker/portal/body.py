"""What clients wrote: the query string, JSON, forms and files, as a dictionary of texts and JSON values.

Nothing here is evaluated: a text that looks like a Python bytes literal is decoded as one, and as nothing else. What a
body becomes in memory is some times its size, whatever is in it: sizes are bounded by kind, and so is the number of
values, since the smallest value takes dozens of bytes.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

from fink_broker.portal.route import RequestError, Route

MIB = 1024 * 1024
#: most fields of a form or a query string
MOST_FIELDS = 200
#: largest body of a request that carries no file and no table
LARGEST_PLAIN = 1 * MIB
#: largest body that is JSON, and largest file written as text; larger ones are sent as they are, in a multipart form
LARGEST_TEXT = 32 * MIB
#: largest form that is no multipart form
LARGEST_FORM = 4 * MIB
#: most brackets, commas, colons and quotes of a JSON body, outside its texts
MOST_MARKS = 100_000
#: longest head of a part of a multipart form
LONGEST_HEAD = 4096

_NOT_JSON = "The body of the request is not a JSON object: {}.\n"
_NOT_A_FORM = "The multipart body cannot be read: {}.\n"
_NO_FILE = "is neither base64 nor a file of a multipart form"
#: backslashes that begin nothing a bytes literal has; octal numbers are none of what Python writes
_NO_ESCAPE = re.compile(rb"\\(?![abfnrtv'\"]|x[0-9A-Fa-f][0-9A-Fa-f])")
_BLANKS = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def from_query(query_string: bytes) -> dict[str, Any]:
    """Return the arguments of a query string; of a name that is there twice, the first counts.

    Raises
    ------
    RequestError
        If there are too many of them.
    """
    return _first_of(_pairs(query_string))


def largest_body(route: Route) -> int | None:
    """Return the size of the largest body a route takes, in bytes; None where ``api.max_body_mib`` alone bounds it."""
    if any(each.kind == "upload" for each in route.arguments):
        return None
    return max(LARGEST_PLAIN, *(8 * each.longest for each in route.arguments)) if route.arguments else LARGEST_PLAIN


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
        400 if it cannot be read, 413 if it is too large for its kind, 415 if it is of another kind.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _first_of(list(_parts(body, content_type)))
    start = body[:64].lstrip(b"\xef\xbb\xbf" + _BLANKS)
    if not start:
        return {}
    if kind == "application/x-www-form-urlencoded" and start[:1] not in (b"{", b"["):
        _check_size(body, LARGEST_FORM, "A form")
        return _first_of(_pairs(body))
    if kind in ("", "application/json", "application/x-www-form-urlencoded") or kind.startswith("text/"):
        return _from_json(body)
    raise RequestError("The body of a request is a JSON object or a form (multipart for files).\n", status=415)


def parse_upload(written: Any) -> bytes:
    r"""Return the content of a file: bytes as they are, base64, or the text of a Python bytes literal (``b'\x1f…'``).

    Raises
    ------
    ValueError
        If it is none of these, or a text longer than `LARGEST_TEXT`.
    """
    if isinstance(written, bytes):
        return written
    if not isinstance(written, str):
        raise ValueError("must be a file, or base64")
    if len(written) > LARGEST_TEXT:
        raise ValueError(f"is longer than {LARGEST_TEXT // MIB} MiB as a text; send it as a file of a multipart form")
    try:
        text = written.encode("ascii").strip(_BLANKS)
        if text[:2] in (b"b'", b'b"'):
            return _bytes_of_literal(text)
        packed = text.translate(_URL_SAFE, delete=_BLANKS)
        if packed:
            return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise ValueError(_NO_FILE)


def _bytes_of_literal(text: bytes) -> bytes:
    """Return what a Python bytes literal stands for.

    Nothing here needs memory for each character, and what takes long is done in pieces, so that other threads go on.

    Raises
    ------
    ValueError
        If it is no bytes literal.
    """
    quote, inner = text[1:2], text[2:-1]
    single = inner.replace(rb"\\", b"")  # whose backslashes begin an escape each
    has_break = b"\n" in single or b"\r" in single
    if len(text) < 3 or text[-1:] != quote or has_break or quote in single.replace(b"\\" + quote, b""):
        raise ValueError(_NO_FILE)
    if _NO_ESCAPE.search(single):
        raise ValueError(_NO_FILE)
    decoder, content = codecs.getincrementaldecoder("unicode_escape")(), bytearray()
    for start in range(0, len(inner), MIB):
        content += decoder.decode(inner[start : start + MIB], start + MIB >= len(inner)).encode("latin-1")
    return bytes(content)


def _check_size(body: bytes, largest: int, what: str) -> None:
    if len(body) > largest:
        raise RequestError(
            f"{what} may have at most {largest // MIB} MiB. Send a large file as part of a multipart form.\n",
            status=413,
        )


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
    _check_size(body, LARGEST_TEXT, "A JSON body")
    try:
        _check_marks(body)
        content = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once_each, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(_NOT_JSON.format("it is nested too deeply")) from None
    except UnicodeDecodeError:
        raise RequestError(_NOT_JSON.format("it is not UTF-8")) from None
    except ValueError as error:  # malformed, numbers of thousands of digits
        raise RequestError(_NOT_JSON.format(" ".join(str(error).split())[:200])) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RequestError(_NOT_JSON.format('write {"name": value, …}'))
    return content


def _check_marks(body: bytes) -> None:
    """Refuse JSON of very many values before any of them is made.

    Raises
    ------
    ValueError
        If there are too many.
    """
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")  # whose quotes begin and end texts
    marks = bare.count(b'"')
    if marks <= MOST_MARKS:
        marks += sum(outside.count(mark) for outside in bare.split(b'"')[::2] for mark in (b",", b"[", b"{"))
    if marks > MOST_MARKS:
        raise ValueError("it has too many values")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, Any]]:
    """Give name and content of the parts of a multipart form (RFC 7578): bytes of files, texts of the others."""
    named = re.search(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', content_type, re.IGNORECASE)
    if not named:
        raise RequestError("The multipart body has no boundary.\n")
    boundary = b"--" + (named.group(1) or named.group(2)).encode("utf-8", "replace")
    start = 0 if body.startswith(boundary) else body.find(b"\r\n" + boundary) + 2
    if start < 2 and not body.startswith(boundary):
        raise RequestError(_NOT_A_FORM.format("its boundary is not there"))
    for _ in range(MOST_FIELDS + 1):
        start += len(boundary)
        if body.startswith(b"--", start):
            return
        stop = body.find(b"\r\n" + boundary, start)
        if stop < 0:
            raise RequestError(_NOT_A_FORM.format("its end is missing"))
        yield _part(body, start, stop)
        start = stop + 2
    raise RequestError(_NOT_A_FORM.format("it has too many parts"))


def _part(body: bytes, start: int, stop: int) -> tuple[str, Any]:
    """Return name and content of the part between two boundaries."""
    ends = body.find(b"\r\n\r\n", start, min(stop, start + LONGEST_HEAD))
    head = body[start : max(start, ends)].decode("utf-8", "replace")
    disposition = re.search(r"^content-disposition:([^\r\n]*)", head, re.IGNORECASE | re.MULTILINE)
    name = re.search(r'\bname="([^"]*)"', disposition.group(1) if disposition else "")
    if not disposition or not name:
        raise RequestError(_NOT_A_FORM.format("a part has no name"))
    content = body[ends + 4 : stop]
    if re.search(r"\bfilename\*?=", disposition.group(1)):
        return name.group(1), content
    try:
        return name.group(1), content.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(_NOT_A_FORM.format(f"`{name.group(1)[:60]}` is not UTF-8")) from None
