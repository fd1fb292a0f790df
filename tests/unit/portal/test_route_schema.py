"""``schema``, ``columns``, ``statistics``."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from archived import archived_alerts, empty_archive
from portal_questions import answer, as_table, document, rows

from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import STATISTICS
from fink_broker.portal.route import RequestError

HEADINGS = [
    "ZTF original fields (i:)",
    "ZTF original cutouts (b:)",
    "Fink science module outputs (d:)",
    "Fink on-the-fly added values (v:)",
]


def listed(archive: Archive) -> set[str]:
    """Return all columns the schema tells, with their families."""
    return {f"{heading[-3]}:{name}" for heading, group in document(archive, "schema").items() for name in group}


def test_every_column_is_told_with_type_and_meaning() -> None:
    groups = document(empty_archive(), "schema")
    assert list(groups) == HEADINGS
    for group in groups.values():
        assert list(group) == sorted(group)
        for name, told in group.items():
            assert set(told) == {"type", "doc"}
            assert told["type"] and told["doc"].strip(), name


def test_the_historic_generation_wraps_it() -> None:
    fields = document(empty_archive(), "columns", "historic")["fields"]
    assert list(fields) == [*HEADINGS[:3], "Fink added values (v:)"]
    assert list(fields.values()) == list(document(empty_archive(), "schema").values())


def test_the_schema_lists_what_a_fresh_object_has_and_nothing_else(shared_data: Path) -> None:
    archive = archived_alerts(shared_data)
    name = archive.alerts(["ZTF"], ["i:objectId"])["i:objectId"][0].as_py()
    found = set(rows(archive, "objects", objectId=name).column_names)
    assert {column for column in listed(archive) if not column.startswith("b:")} == found


def test_the_schema_lists_what_production_recorded(shared_data: Path) -> None:
    recorded = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())["response"][0]
    assert set(recorded) <= listed(empty_archive())


@pytest.fixture(scope="module")
def archive() -> Archive:
    """Counts of five nights."""
    made = empty_archive()
    nights = {
        "20211103": {"basic:raw": 346644, "basic:sci": 180000, "class:Star": 5},
        "20211104": {"basic:raw": 5, "basic:sci": 3, "class:QSO": 1},
        "20211201": {"basic:raw": 7, "basic:sci": 4, "key:time": "1635993600123"},
        "20220101": {"basic:raw": 9, "basic:sci": 9},
        "20230101": {"basic:raw": 1, "class:users' own": 1},
    }
    made.put_records(STATISTICS, [(f"ztf_{night}", fields) for night, fields in nights.items()])
    return made


@pytest.mark.parametrize(
    ("date", "nights"),
    [
        ("20211103", ["20211103"]),
        ("2021-11-03", ["20211103"]),
        (" 202111", ["20211103", "20211104"]),
        ("2021", ["20211103", "20211104", "20211201"]),
        ("", ["20211103", "20211104", "20211201", "20220101", "20230101"]),
        ("1999", []),
    ],
)
def test_nights_are_found_by_the_beginning_of_their_date(archive: Archive, date: str, nights: list[str]) -> None:
    found = rows(archive, "statistics", date=date)
    assert (found["key:key"].to_pylist() if nights else len(found)) == ([f"ztf_{night}" for night in nights] or 0)


def test_counts_are_texts_and_a_class_nobody_saw_counts_nothing(archive: Archive) -> None:
    found = rows(archive, "statistics", date="202111")
    assert found["basic:raw"].to_pylist() == ["346644", "5"]
    assert found["class:Star"].to_pylist() == ["5", "0"]
    assert {str(field.type) for field in found.schema} == {"string"}


def test_two_columns_come_with_key_and_time(archive: Archive) -> None:
    found = rows(archive, "statistics", date="2021", columns="basic:raw,class:Kilonova candidate")
    assert found.column_names == ["key:key", "key:time", "basic:raw", "class:Kilonova candidate"]
    assert found["class:Kilonova candidate"].to_pylist() == ["0", "0", "0"]
    assert found["key:time"].to_pylist() == [None, None, "1635993600123"]


def test_classes_of_other_nights_count_nothing_and_unknown_ones_are_told(archive: Archive) -> None:
    found = rows(archive, "statistics", date="20220101", columns="class:users' own,class:QSO")
    assert found["class:users' own"].to_pylist() == ["0"]
    for wrong in ("class:nobody", "basic:rew", "i:jd"):
        with pytest.raises(RequestError, match="There is no column"):
            rows(archive, "statistics", date="2021", columns=f"basic:raw,{wrong}")


def test_a_date_without_nights_has_no_row_and_the_columns_asked_for(archive: Archive) -> None:
    found = rows(archive, "statistics", date="1999", columns="basic:raw")
    assert found.schema == pa.schema([(name, pa.string()) for name in ("key:key", "key:time", "basic:raw")])
    assert len(found) == 0


def test_names_of_columns_are_given_without_a_date(archive: Archive) -> None:
    found = rows(archive, "statistics", schema="True")
    assert found.to_pydict() == {"schema": ["basic:raw", "basic:sci", "class:QSO", "class:Star", "class:users' own"]}


def test_a_date_is_required_in_the_words_of_the_contract(archive: Archive) -> None:
    for generation, ending in (
        ("current", "See https://api.ztf.fink-portal.org \n"),
        ("historic", "Use GET to check arguments.\n"),
    ):
        with pytest.raises(RequestError) as error:
            as_table(answer(archive, "statistics", {}, generation=generation))
        assert error.value.text == f"A value for `date` is required. {ending}"


@pytest.mark.parametrize("date", ["ztf", "2021%", "202111031", "..", "2021,2022", "x' or"])
def test_what_is_no_date_is_refused(archive: Archive, date: str) -> None:
    with pytest.raises(RequestError, match="YYYYMMDD"):
        rows(archive, "statistics", date=date)
