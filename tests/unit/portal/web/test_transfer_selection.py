"""What a visitor selects, and how much that is."""

from __future__ import annotations

import shlex
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest

from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.portal.web.transfer.conditions import problems, schema_of
from fink_broker.portal.web.transfer.estimate import LARGE, Estimate, estimate, night_range
from fink_broker.portal.web.transfer.selection import (
    ALL_CLASSES,
    CONTENTS,
    MOST_ALERTS,
    Selection,
    from_address,
    from_inputs,
)
from fink_broker.portal.web.transfer.summary import command, size_text

COUNTS = pd.DataFrame(
    {
        "key:key": ["ztf_20231016", "ztf_20231017", "ztf_20231018", "ztf_20231020"],
        "basic:sci": ["10", "0", "100", "7"],
        "class:SN candidate": ["1", "0", "40", "2"],
        "class:QSO": ["2", "0", "5", "0"],
    }
)
SCHEMA = schema_of(Config())


class Statistics:
    """An API that knows the counts of four nights."""

    def rows(self, route: str, /, **arguments: object) -> pd.DataFrame:
        assert route == "statistics" and arguments["date"] == ""
        return COUNTS[list(arguments["columns"])]


def chosen(**given: object) -> Selection:
    usual = {"start": "2023-10-17", "stop": "2023-10-18", "classes": [], "conditions": "", "content": "full"}
    return from_inputs(**(usual | given))


def test_the_address_leads_back_to_the_selection() -> None:
    selection = chosen(
        classes=["SN candidate", "(TNS) SN Iax[02cx-like]"], conditions="candidate.magpsf > 19.5;\nroid = 3;"
    )
    assert from_address(dict(parse_qsl(selection.query()))) == selection


def test_what_an_address_cannot_mean_is_left_out() -> None:
    hostile = {"start": "2023-02-30", "stop": "<script>", "class": "SN candidate,' OR 1", "content": "everything"}
    assert from_address(hostile) == Selection(classes=("SN candidate",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classes": ["--resume=x"]}, "no class"),
        ({"classes": [{"a": 1}]}, "no class"),
        ({"classes": sorted(ALL_CLASSES)[:51]}, "More than 50 classes"),
        ({"start": "18.10.2023"}, "first night is no date"),
        ({"start": 5}, "first night is no date"),
        ({"stop": "2023-10-01"}, "before the first"),
        ({"conditions": "x" * 4001}, "longer than 4,000"),
        ({"content": "--remove"}, "no such content"),
        ({"content": ["x"]}, "no such content"),
        ({"content": {}}, "no such content"),
        ({"conditions": 5}, "conditions are no text"),
        ({"classes": "SN candidate"}, "classes are no list"),
        ({"classes": {"a": 1}}, "classes are no list"),
        ({"start": ["2023-10-17"]}, "first night is no date"),
    ],
)
def test_forged_inputs_are_refused_in_a_sentence(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(**given)


def test_the_command_takes_each_argument_as_one_word() -> None:
    selection = chosen(classes=["(SIMBAD) QSO"], conditions="candidate.drb > 0.9;\n\ncandidate.isdiffpos = 't' ;")
    assert selection.arguments("ftransfer_ztf_2024-01-01_000001") == [
        "--start=2023-10-17", "--stop=2023-10-18", "--class=(SIMBAD) QSO",
        "--where=(candidate.drb > 0.9) AND (candidate.isdiffpos = 't')", "--output=full",
        "--max-alerts=10000000", "--topic=ftransfer_ztf_2024-01-01_000001",
    ]  # fmt: skip
    assert shlex.split(command(selection)) == ["fink", "transfer", *selection.arguments()]
    assert all(content.option.startswith("--") for content in CONTENTS.values())


def test_each_bad_condition_is_told_with_its_line() -> None:
    bad = "candidate.magpsff > 3;\ncandidate.magpsf >;\n__import__('os');"
    text = f"candidate.magpsf > 19.5;\n\n{bad}\nsize(prv_candidates.magpsf) > 3"
    told = problems(chosen(conditions=text), SCHEMA)
    assert [sentence.partition(":")[0] for sentence in told] == ["Line 3", "Line 4", "Line 5"]
    assert "magpsff" in told[0] and all(len(sentence) < 400 for sentence in told)
    assert problems(chosen(conditions="candidate.magpsf > 19.5;\ncandidate.drb > 0.9;"), SCHEMA) == []


@pytest.mark.parametrize(
    "text",
    [
        "roid = 3; DROP TABLE alerts;", "1 = 1) OR (1 = 1", "roid = 3 --", "candidate.magpsf", "(SELECT 1) = 1",
        "roid = 3 /*\nroid = 4",
    ],
)  # fmt: skip
def test_what_is_more_than_a_condition_is_refused(text: str) -> None:
    selection = chosen(conditions=f"{text}\ncandidate.drb > 0.9;")
    assert problems(selection, SCHEMA)


def test_too_many_conditions_are_refused() -> None:
    (told,) = problems(chosen(conditions="roid = 3;\n" * 21), SCHEMA)
    assert "21 conditions" in told


def test_the_nights_that_have_alerts() -> None:
    assert night_range(Statistics()) == ["2023-10-16", "2023-10-18", "2023-10-20"]


def test_both_nights_are_included_and_classes_add_up() -> None:
    everything = estimate(Statistics(), chosen(start="2023-10-16", stop="2023-10-18"))
    assert everything.nights == ("2023-10-16", "2023-10-18")
    assert (everything.alerts, everything.percent, everything.is_most) == (110, 100.0, False)
    some = estimate(Statistics(), chosen(start="2023-10-16", classes=["SN candidate", "(SIMBAD) QSO"]))
    assert some.selected.tolist() == [3, 45]
    assert some.percent == pytest.approx(100 * 48 / 110)
    assert some.gigabytes == pytest.approx(48 * CONTENTS["full"].bytes / 1e9)


def test_what_is_not_counted_by_night_is_an_upper_limit() -> None:
    of_tns = estimate(Statistics(), chosen(classes=["(TNS) SN Ia"]))
    assert (of_tns.alerts, of_tns.is_most) == (100, True)
    assert estimate(Statistics(), chosen(conditions="roid = 3;")).is_most


@pytest.mark.parametrize(
    ("alerts", "colour"),
    [
        (0, "red"),
        (1, "green"),
        (LARGE - 1, "green"),
        (LARGE, "orange"),
        (MOST_ALERTS, "orange"),
        (MOST_ALERTS + 1, "red"),
    ],
)
def test_the_colour_says_how_much_it_is(alerts: int, colour: str) -> None:
    one = np.array([alerts], dtype=np.int64)
    assert Estimate(("2023-10-18",), np.maximum(one, 1), one, 48_000, is_most=False).colour == colour


def test_sizes_keep_two_digits() -> None:
    sizes = (0.00018, 0.0108, 0.5, 1.25, 480.4, 4800.0)
    assert [size_text(size) for size in sizes] == ["0.18 MB", "11 MB", "500 MB", "1.2 GB", "480 GB", "4,800 GB"]
