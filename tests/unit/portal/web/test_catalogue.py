"""Uploaded catalogues: read, or refused in words."""

from __future__ import annotations

from base64 import b64encode

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.web.results import matching
from fink_broker.portal.web.results.catalogue import (
    MOST_BYTES,
    CatalogueError,
    guess_columns,
    read_catalogue,
    uploaded,
)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_reads_tables_however_they_are_separated(delimiter: str) -> None:
    text = (
        f"# made by hand\nname{delimiter}RAJ2000{delimiter}DEJ2000\r\n M 31 {delimiter}10.6847{delimiter}41.2687\r\n\n"
    )
    found = read_catalogue(b"\xef\xbb\xbf" + text.encode())
    assert found.names == ("name", "RAJ2000", "DEJ2000")
    assert found.rows == (("M 31", "10.6847", "41.2687"),)
    assert guess_columns(found.names) == ("RAJ2000", "DEJ2000", "name")
    assert read_catalogue(found.text()) == found


@pytest.mark.parametrize(
    ("names", "guessed"),
    [
        (("id", "ra", "dec", "ra_error"), ("ra", "dec", "id")),
        (("source_id", "RA (deg)", "Dec [deg]"), ("RA (deg)", "Dec [deg]", "source_id")),
        (("i:objectId", "i:ra", "i:dec"), ("i:ra", "i:dec", "i:objectId")),
        (("a", "b"), (None, None, None)),
    ],
)
def test_columns_are_guessed_by_their_names(names: tuple[str, ...], guessed: tuple[str | None, ...]) -> None:
    assert guess_columns(names) == guessed


def test_rows_without_identifiers_are_numbered() -> None:
    found = read_catalogue("ra,dec\n1,2\n3,4")
    assert found.names == ("row", "ra", "dec") and [row[0] for row in found.rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"# only a remark\n", "empty"),
        (b"ra,dec\n", "no row"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not text"),
        (b"ra,dec\n\xff\xfe,1", "UTF-8"),
        (b"ra,dec\n\x1b[31m,1", "control characters"),
        (b"ra\n1", "fewer than two"),
        (b"ra,ra\n1,2", "differ"),
        (b"ra,\n1,2", "differ"),
        (b"ra,dec\n1,2,3", "Row 1 has 3 cells"),
        (b"ra,dec\n1," + b"9" * 2000, "more than 1,000 characters"),
        (b'ra,dec\n"1,2\n', "no table"),
        (b"ra,dec\n" + b"1,2\n" * 1001, "1,001 rows: 1,000 at most"),
        (b"x" * (MOST_BYTES + 1), "too large"),
        (",".join(f"c{n}" for n in range(101)).encode(), "100 columns"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(CatalogueError, match=words):
        read_catalogue(content)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_any_content_is_read_or_refused(content: bytes | str) -> None:
    try:
        found = read_catalogue(content)
    except CatalogueError as error:
        assert str(error).endswith(".")
    else:
        assert {len(row) for row in found.rows} == {len(found.names)}


@pytest.mark.parametrize("contents", [None, 3, "", "data:text/csv,abc", "data:text/csv;base64,a", "x;base64,é"])
def test_what_is_no_upload_is_refused(contents: object) -> None:
    with pytest.raises(CatalogueError):
        uploaded(contents)
    assert uploaded(f"data:text/csv;base64,{b64encode(b'ra').decode()}") == b"ra"


@pytest.mark.parametrize(
    ("text", "header", "radius", "words"),
    [
        (None, ("ra", "dec", "row"), 1.5, "no catalogue"),
        ("ra,dec\n1,2", ("ra", "dec", None), 1.5, "Choose the columns"),
        ("ra,dec\n1,2", ("ra", "dec", "<script>"), 1.5, "Choose the columns"),
        ("ra,dec\n1,2", ("ra", "ra", "row"), 1.5, "three different"),
        ("ra,dec\n1,2", ("ra", "dec", "row"), float("nan"), "radius"),
        ("ra,dec\n1,2", ("ra", "dec", "row"), 61, "radius"),
        ("ra,dec\n1,2", ("ra", "dec", "row"), "1.5", "radius"),
        ("ra,dec\n1,2", ("ra", "dec", "row"), None, "radius"),
    ],
)
def test_a_match_needs_columns_and_a_radius(text, header, radius, words: str) -> None:
    with pytest.raises(CatalogueError, match=words):
        matching.match(None, text, header, radius)


def test_own_columns_are_found_beside_those_of_the_archive() -> None:
    assert matching.own_column("name", pd.DataFrame(columns=["name", "i:ra"])) == "name"
    assert matching.own_column("i:ra", pd.DataFrame(columns=["i:ra_catalog", "i:ra"])) == "i:ra_catalog"
