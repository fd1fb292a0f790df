from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.arguments import read_arguments, read_value
from fink_broker.portal.columns import check_columns
from fink_broker.portal.route import Argument, RequestError, Route, Text

KINDS = {
    "text": ("hello", "hello"),
    "integer": (" 10", 10),
    "number": (" 5", 5.0),
    "flag": ("True", True),
    "date": ("2021-11-03", 2459521.5),
    "choice": ("PNG", "png"),
    "names": (" a, b ,,c", ("a", "b", "c")),
    "object_ids": ("ZTF21abfmbix, ZTF21aaxtctv", ("ZTF21abfmbix", "ZTF21aaxtctv")),
    "columns": ("i:jd, i:fid", ("i:jd", "i:fid")),
    "angle": (" 45.2", "45.2"),
    "upload": ("b'\\x1f\\x8b'", b"\x1f\x8b"),
    "anything": ({"a": [1]}, {"a": [1]}),
}


def route_of(*arguments: Argument) -> Route:
    return Route("try", "Try", lambda _: Text(""), arguments)


def one(kind: str, written: object, **further: object) -> object:
    return read_value(Argument("x", "", kind, **further), written)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_what_clients_write(kind: str) -> None:
    written, expected = KINDS[kind]
    value = one(kind, written, choices=("png", "fits"))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("integer", "ten"),
        ("integer", "1e3"),
        ("integer", "1_000"),
        ("integer", "٣"),
        ("integer", 1.5),
        ("integer", True),
        ("integer", "9" * 5000),
        ("integer", 2**63),
        ("integer", [1]),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "-Infinity"),
        ("number", "1e999"),
        ("number", 10**400),
        ("number", {}),
        ("number", "1; drop"),
        ("date", "yesterday"),
        ("date", "nan"),
        ("date", "-59000"),
        ("date", "2021-13-40"),
        ("date", "9999-01-01"),
        ("choice", "gif"),
        ("choice", None.__class__),
        ("names", " , ,"),
        ("names", ["a", 1]),
        ("names", ",".join("abc" * 4000)),
        ("object_ids", "ZTF21\x00"),
        ("object_ids", "ZTF21_2459"),
        ("object_ids", "../../etc/passwd"),
        ("object_ids", "ZTF.*"),
        ("object_ids", "ZTF'; --"),
        ("object_ids", "ZTF21\nX"),
        ("object_ids", "\ud800"),
        ("text", "a\x00b"),
        ("text", "a\nb"),
        ("text", "\udfff"),
        ("text", "x" * 1001),
        ("text", {"a": 1}),
        ("text", True),
        ("angle", float("nan")),
        ("upload", 5),
        ("upload", "__import__('os')"),
        ("upload", "b'' + open('/etc/passwd')"),
        ("upload", "b'" + "(" * 100_000),
        ("upload", "not base64!"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(kind: str, written: object) -> None:
    with pytest.raises(RequestError) as caught:
        one(kind, written, choices=("png", "fits"))
    assert caught.value.status == 400
    assert "`x`" in str(caught.value)
    assert len(str(caught.value)) < 400


@given(
    st.sampled_from(sorted(KINDS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
)
def test_nothing_a_client_writes_is_an_error_of_ours(kind: str, written: object) -> None:
    argument = Argument("x", "", kind, choices=("png",), required=True)
    try:
        read_arguments(route_of(argument), {"x": written}, "current")
    except RequestError as error:
        assert error.status == 400


@pytest.mark.parametrize("written", ["False", "yes", "maybe", "1", 1, 0, None, [True], {"a": 1}, "None", "Truely", 1.0])
def test_whatever_is_not_true_is_false(written: object) -> None:
    assert one("flag", written) is False


def test_true_is_written_in_many_ways() -> None:
    assert [one("flag", written) for written in (True, "True", " true ", "TRUE")] == [True] * 4


def test_only_tables_have_lines() -> None:
    assert one("text", "a\nb", longest=2000) == "a\nb"
    for kind, longest in (("text", 1000), ("names", 20_000), ("columns", 20_000)):
        with pytest.raises(RequestError, match="characters that cannot be"):
            one(kind, "a\nb", longest=longest)


def test_limits_include_their_ends() -> None:
    assert one("number", "5", least=5, most=5) == 5.0
    for written in ("4.9", "5.1"):
        with pytest.raises(RequestError, match="must be 5"):
            one("number", written, least=5, most=5)


def test_absent_arguments_take_their_default_and_unknown_ones_are_ignored() -> None:
    route = route_of(
        Argument("n", "", "integer", default=10), Argument("color", "", "presence"), Argument("date", "", required=True)
    )
    values, given_ = read_arguments(route, {"n": "", "output_format": "csv", "date": ""}, "current")
    assert values == {"n": 10, "color": False, "date": ""}
    assert given_ == {"date"}
    values, given_ = read_arguments(route, {"n": None, "color": None, "date": "2021"}, "current")
    assert values == {"n": 10, "color": True, "date": "2021"}


def test_a_missing_argument_is_named_in_the_words_of_the_generation() -> None:
    route = route_of(Argument("objectId", "", "object_ids", required=True, aliases=("id",)))
    with pytest.raises(RequestError) as current:
        read_arguments(route, {}, "current")
    assert current.value.text == "A value for `objectId` is required. See https://api.ztf.fink-portal.org \n"
    with pytest.raises(RequestError) as historic:
        read_arguments(route, {"objectId": "  "}, "historic")
    assert historic.value.text == "A value for `objectId` is required. Use GET to check arguments.\n"
    assert read_arguments(route, {"id": "ZTF21abfmbix"}, "current")[0] == {"objectId": ("ZTF21abfmbix",)}


def test_all_columns_are_none() -> None:
    assert one("columns", "*") is None
    assert one("columns", " * ") is None
    assert one("columns", ["i:jd", "i:fid"]) == ("i:jd", "i:fid")


@given(st.binary(max_size=200))
def test_an_upload_is_bytes_however_it_is_written(content: bytes) -> None:
    assert one("upload", content) == content
    assert one("upload", repr(content)) == content
    if content:
        assert one("upload", base64.b64encode(content).decode()) == content


def test_unknown_columns_are_refused_with_names_that_are_near() -> None:
    known = ["i:magpsf", "i:sigmapsf", "i:jd"]
    assert check_columns(("i:jd", "v:rate", "i:jd"), known, ["v:rate"]) == ("i:jd", "v:rate")
    assert check_columns(None, known) is None
    with pytest.raises(RequestError, match=r"no column `i:magps` here\. Did you mean `i:magpsf`"):
        check_columns(("i:magps",), known)
    with pytest.raises(RequestError, match=r"no column `key:\.\*` here\. The route"):
        check_columns(("key:.*",), known)
