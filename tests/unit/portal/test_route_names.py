"""``names``: objects whose names begin with a text."""

from __future__ import annotations

import numpy as np
import pytest
from archived import empty_archive
from portal_questions import archive_of, rows

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.route import RequestError

NAMES = ["ZTF21aaaaaaa", "ZTF21aaaaaab", "ZTF21aaabbbb", "ZTF22aaaaaaa"]
FIRST = 2460000.5


@pytest.fixture(scope="module")
def archive() -> Archive:
    """Four objects of five alerts."""
    number = np.arange(20)
    return archive_of(
        {"objectId": [NAMES[n % 4] for n in number], "jd": FIRST + number * 1.0, "magpsf": 18.0 + 0.01 * number}
    )


@pytest.mark.parametrize(
    ("beginning", "names"),
    [
        ("ZTF21", ["ZTF21aaabbbb", "ZTF21aaaaaab", "ZTF21aaaaaaa"]),
        ("ZTF21aaaa", ["ZTF21aaaaaab", "ZTF21aaaaaaa"]),
        ("ZTF22aaaaaaa", ["ZTF22aaaaaaa"]),
        ("ZTF23", []),
    ],
)
def test_each_object_comes_once_with_its_latest_alert(archive: Archive, beginning: str, names: list[str]) -> None:
    found = rows(archive, "names", prefix=beginning)
    assert found["i:objectId"].to_pylist() == names if names else len(found) == 0
    if names:
        latest = {name: FIRST + 16 + number for number, name in enumerate(NAMES)}
        assert found["i:jd"].to_pylist() == pytest.approx([latest[name] for name in names])


def test_no_more_than_wanted_and_the_columns_wanted(archive: Archive) -> None:
    found = rows(archive, "names", prefix="ZTF", n=2, columns="i:objectId,v:classification")
    assert found["i:objectId"].to_pylist() == ["ZTF22aaaaaaa", "ZTF21aaabbbb"]
    assert set(found.column_names) == {"i:objectId", "v:classification"}


def test_an_empty_archive_has_no_names() -> None:
    assert len(rows(empty_archive(), "names", prefix="ZTF21")) == 0


@pytest.mark.parametrize("beginning", ["ZT", "ZTF21_", "ZTF21aaaaaaaa", "SN 2021", "ZTF%"])
def test_what_begins_no_name_is_refused(archive: Archive, beginning: str) -> None:
    with pytest.raises(RequestError):
        rows(archive, "names", prefix=beginning)
