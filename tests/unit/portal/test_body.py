from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.body import LARGEST_PLAIN, MOST_MARKS, from_body, from_query, largest_body, parse_upload
from fink_broker.portal.route import RequestError
from fink_broker.portal.routes import all_routes

JSON = "application/json"


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-8", "", "text/plain"])
def test_a_json_object_is_read(kind: str) -> None:
    assert from_body(b' {"n": " 10", "reverse": true, "x": [1.5]}', kind) == {"n": " 10", "reverse": True, "x": [1.5]}


def test_json_that_is_called_a_form_is_json() -> None:
    assert from_body(b'{"n": 1}', "application/x-www-form-urlencoded") == {"n": 1}
    assert from_body(b"n=1&class=SN+candidate", "application/x-www-form-urlencoded") == {
        "n": "1",
        "class": "SN candidate",
    }


def test_no_body_is_no_arguments() -> None:
    assert from_body(b"", JSON) == {}
    assert from_body(b" \n", "") == {}
    assert from_body(b"null", JSON) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1, 2]",
        b'"text"',
        b"12",
        b'{"n": NaN}',
        b'{"n": Infinity}',
        b'{"n": 1, "n": 2}',
        b'{"a":' * 100_000,
        b"[" * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b"{'n': 1}",
        b"\x80\x04\x95pickle",
        b'{"a": "\xff"}',
        '{"a": "b"}'.encode("utf-16"),
        b'{"a":[' + b"[]," * MOST_MARKS + b"0]}",
        b'{"a":[' + b'"",' * MOST_MARKS + b"0]}",
        b'{"a":"\\\\",' + b'"":0,' * MOST_MARKS + b'"b":0}',
    ],
)
def test_what_is_no_json_object_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(RequestError, match="The body of the request is not a JSON object") as caught:
        from_body(body, JSON)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 400


def test_bodies_of_other_kinds_are_refused() -> None:
    with pytest.raises(RequestError) as caught:
        from_body(b"GIF89a", "image/gif")
    assert caught.value.status == 415


def test_of_an_argument_given_twice_in_the_address_the_first_counts() -> None:
    assert from_query(b"a=1&a=2&b=%20x&c=") == {"a": "1", "b": " x", "c": ""}
    with pytest.raises(RequestError, match="more than 200"):
        from_query(b"&".join(b"a%d=1" % n for n in range(300)))


def multipart(*parts: tuple[str, bytes]) -> bytes:
    lines = [
        f"--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts
    ]
    return b"".join(lines) + b"--xyz--\r\n"


def test_a_form_with_a_file_gives_its_bytes() -> None:
    content = bytes(range(256)) * 100
    body = multipart(('name="bayestar"; filename="a.fits.gz"', content), ('name="credible_level"', b"0.2"))
    assert from_body(body, "multipart/form-data; boundary=xyz") == {"bayestar": content, "credible_level": "0.2"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"nonsense", "multipart/form-data; boundary=xyz"),
        (multipart(("filename=1", b"x")), "multipart/form-data; boundary=xyz"),
        (multipart(('name="a"', b"\xff")), "multipart/form-data; boundary=xyz"),
        (multipart(*[(f'name="a{n}"', b"1") for n in range(300)]), "multipart/form-data; boundary=xyz"),
        (multipart(('name="' + "a" * 10_000 + '"', b"1")), "multipart/form-data; boundary=xyz"),
    ],
)
def test_a_damaged_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(RequestError, match="multipart body"):
        from_body(body, kind)


@given(
    st.binary(max_size=300),
    st.sampled_from([JSON, "", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded"]),
)
def test_no_bytes_are_an_error_of_ours(body: bytes, kind: str) -> None:
    for read in (lambda: from_body(body, kind), lambda: from_query(body)):
        try:
            assert isinstance(read(), dict)
        except RequestError as error:
            assert error.status in (400, 415)


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_every_json_object_comes_back(content: dict[str, object]) -> None:
    assert from_body(json.dumps(content).encode(), JSON) == content


def test_what_a_long_text_holds_is_no_value() -> None:
    text = '\\",[{}]:' * MOST_MARKS
    assert from_body(json.dumps({"a": text}).encode(), JSON) == {"a": text}


def test_a_bytes_literal_of_any_length_is_its_bytes() -> None:
    content = bytes(range(256)) * 8000 + b"\\"
    assert parse_upload(repr(content)) == content
    assert parse_upload(f"  {content!r}\n") == content
    assert parse_upload(repr(b'it\'s "quoted"')) == b'it\'s "quoted"'
    assert parse_upload("b''") == b""


@pytest.mark.parametrize(
    "written",
    ["b'", "b'a", "b'a\"", "b'a'b'", "b'a' + b'b'", r"b'\'", r"b'\x1'", r"b'\u0041'", r"b'\N{BULLET}'", r"b'\q'",
     r"b'\101'", "b'é'", "b'a\nb'", "b'\\\nb'", "rb'a'", "B'a", "bytes(9)"],
)  # fmt: skip
def test_what_is_no_bytes_literal_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is neither base64 nor a file"):
        parse_upload(written)


def test_base64_may_have_lines_and_be_made_for_addresses() -> None:
    content = bytes(range(256))
    assert parse_upload(base64.encodebytes(content).decode()) == content
    assert parse_upload(base64.urlsafe_b64encode(content).decode()) == content


def test_a_form_may_hold_what_looks_like_its_boundary() -> None:
    content = b"x--xyz\r\n--xy\r\n-\r\n\r\n--XYZ--\r\n"
    head = 'name="bayestar"; filename="a"\r\nContent-Type: application/fits'
    body = b"before\r\n" + multipart((head, content)) + b"after"
    assert from_body(body, 'multipart/form-data; boundary="xyz"') == {"bayestar": content}
    with pytest.raises(RequestError, match="its end is missing"):
        from_body(body.replace(b"--xyz--", b""), "multipart/form-data; boundary=xyz")


def test_only_routes_of_files_and_tables_take_large_bodies() -> None:
    large = {route.name for route in all_routes() if (largest_body(route) or 2**40) > 2 * LARGEST_PLAIN}
    assert large == {"skymap", "bayestar", "euclidin", "xmatch"}


HOSTILE = """
import resource, sys, time
from fink_broker.portal.body import from_body, parse_upload
from fink_broker.portal.route import RequestError

n, form = 20_000_000, "multipart/form-data; boundary=x"
head = b'--x\\r\\nContent-Disposition: form-data; name="a"; filename="a"\\r\\n\\r\\n'
bodies = {
    "lists": (b'{"a":[' + b"[]," * (n // 3) + b"0]}", "application/json"),
    "texts": (b'{"a":[' + b'"",' * (n // 3) + b"0]}", "application/json"),
    "quotes": (b'{"a":"' + b'\\\\"' * (n // 2) + b'"}', "application/json"),
    "escapes": (b"a=" + b"%41" * (n // 3), "application/x-www-form-urlencoded"),
    "lines": (head + b"\\r\\n-" * (n // 3) + b"\\r\\n--x--", form),
    "heads": (b"--x\\r\\n" + b"A: b\\r\\n" * (n // 6) + b"\\r\\n--x--", form),
    "parts": (b"\\r\\n--x" * (n // 5) + b"--", form),
}
uploads = {
    "plain": "b'" + "a" * n + "'",
    "escaped": "b'" + r"\\x1f" * (n // 4) + "'",
    "open": "b'" + "a" * n,
    "blanks": "a " * (n // 2),
}


def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


before = most()
for name, given in {**bodies, **uploads}.items():
    began = time.monotonic()
    try:
        parse_upload(given) if isinstance(given, str) else from_body(*given)
    except (RequestError, ValueError):
        pass
    print(name, round(time.monotonic() - began, 2), most() - before)
"""


def test_no_body_takes_long_or_much_memory() -> None:
    """20 MB that are nothing but what takes most: seconds, and MiB of the process beyond the bodies themselves."""
    run = subprocess.run([sys.executable, "-c", HOSTILE], capture_output=True, text=True, timeout=120, check=True)
    lines = [line.split() for line in run.stdout.splitlines()]
    assert len(lines) == 11
    for name, seconds, mib in lines:
        assert float(seconds) < 3, name
        assert int(mib) < 150, name
