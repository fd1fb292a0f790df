from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.body import from_body, from_query
from fink_broker.portal.route import RequestError

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
