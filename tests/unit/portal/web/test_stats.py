"""What was counted by night: read from answers, summed, drawn."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from science_rows import words_of

from fink_broker.portal.class_names import FINK_CLASSES
from fink_broker.portal.web.pages.stats import PAGE
from fink_broker.portal.web.site import Visit
from fink_broker.portal.web.statistics import nights, panels, plots


class Counts:
    """An API that counted three nights, or none."""

    def __init__(self, keys: tuple[str, ...] = ("ztf_20231231", "ztf_20240102", "ztf_20191031", "broken")) -> None:
        self.keys = keys

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        assert route == "statistics"
        if arguments.get("schema"):
            return pd.DataFrame({"schema": ["class:Unknown", "basic:sci", "odd", "class:RRLyr"]})
        keys = [key for key in self.keys if arguments["date"] in key]
        names = arguments["columns"] or (
            nights.RAW,
            nights.SCIENCE,
            nights.UNKNOWN,
            "class:RRLyr",
            "class:SN candidate",
        )
        size = {nights.SCIENCE: "100", nights.UNKNOWN: "40", nights.RAW: "150", "class:SN candidate": "10"}
        rows = {name: [size.get(name, "0")] * len(keys) for name in names}
        return pd.DataFrame({"key:key": keys, "key:time": None} | rows)


def of(counts: Counts) -> Any:
    return type("Site", (), {"api": counts})()


def test_nights_are_read_by_date() -> None:
    found = nights.read_nights(Counts())  # type: ignore[arg-type]
    assert [f"{night:%Y%m%d}" for night in found.index] == ["20191031", "20231231", "20240102"]
    assert {str(kind) for kind in found.dtypes} == {"int64"}
    total = nights.totals(found)
    assert (total.alerts, total.classified, total.unclassified) == (200, 120, 80)  # since 2019-11-01


@pytest.mark.parametrize(
    ("text", "night"),
    [
        ("20240229", date(2024, 2, 29)), ("2024-09-01", date(2024, 9, 1)), ("20230229", None), ("", None), (None, None),
        ("2024", None), ("<script>", None), ("٢٠٢٤٠٩٠١", None), ("20240901; drop", None),
    ],
)  # fmt: skip
def test_nights_are_written_in_two_ways(text: str | None, night: date | None) -> None:
    assert nights.night_of(text) == night


def test_timelines_sum_and_divide() -> None:
    rows = pd.DataFrame({"class:A": [1, 3, 0], nights.SCIENCE: [10, 10, 0]}, pd.date_range("2024-01-01", periods=3))
    assert nights.timeline(rows, "class:A").tolist() == [1, 3, 0]
    assert nights.timeline(rows, "class:A", cumulative=True).tolist() == [1, 4, 4]
    share = nights.timeline(rows, "class:A", percentage=True)
    assert share.tolist()[:2] == [10, 30] and np.isnan(share.iloc[2])
    assert nights.timeline(rows, "class:A", cumulative=True, percentage=True).tolist() == [10, 20, 20]


def test_classes_add_up_to_all_alerts() -> None:
    found = nights.read_nights(Counts())  # type: ignore[arg-type]
    monthly = nights.classes_over_time(found, "YS")
    assert set(monthly) == {"SN candidate", "SIMBAD", "Unknown"}
    assert set(monthly) < {*FINK_CLASSES, "SIMBAD", "Unknown"}
    assert int(monthly.to_numpy().sum()) == int(found[nights.SCIENCE].sum())
    assert monthly.loc["2024-01-01", "SIMBAD"] == 50
    assert len(plots.classes_plot(monthly, "YS").data) == 3


@pytest.mark.parametrize("year", [2023, 2024])
def test_calendars_have_each_day_once(year: int) -> None:
    days = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    counts = pd.Series(np.arange(len(days)), days)
    empty, full = plots.calendar_plot(year, counts, 365).data
    assert int(np.isfinite(np.asarray(empty.z, dtype=float)).sum()) == len(days)
    assert int(np.isfinite(np.asarray(full.z, dtype=float)).sum()) == len(days) - 1  # the first had no alert
    where = np.argwhere(np.asarray(full.customdata) == f"{year}0301")
    assert [row for row, _ in where] == [date(year, 3, 1).weekday()]
    assert sorted(text for text in np.asarray(full.customdata).ravel() if text)[0] == f"{year}0102"


def test_scale_goes_from_few_to_many() -> None:
    assert [words for words, _ in plots.scale_steps(2500)] == ["1", "10", "100", "1,000"]
    assert [words for words, _ in plots.scale_steps(0)] == ["1", "10"]


def test_one_night_says_its_numbers() -> None:
    words = words_of(panels.one_night(Counts(), "2024-01-02"))  # type: ignore[arg-type]
    assert all(
        title in words for title in ("Quality cuts", "Classification", "Cross-match", "Candidates", "All labels")
    )
    assert "Nothing was counted" in words_of(panels.one_night(Counts(), "20240103"))  # type: ignore[arg-type]
    assert "Write a night as" in words_of(panels.one_night(Counts(), "<script>"))  # type: ignore[arg-type]


def test_what_was_received_is_not_known_where_only_the_archive_was_counted() -> None:
    text = plots.bars_plot(["Received", "Processed"], [None, 3], ["#000", "#111"]).data[0].text
    assert list(text) == ["not counted", "3"]


def test_columns_are_checked() -> None:
    assert nights.column_names(Counts()) == ["basic:sci", "class:RRLyr", "class:Unknown"]  # type: ignore[arg-type]
    answer = panels.one_timeline(Counts(), "basic:sci,key:key", cumulative=False, percentage=False)  # type: ignore[arg-type]
    assert "Choose one of the list" in words_of(answer)


@pytest.mark.parametrize("tab", ["heatmap", "daily", "timelines", "classes", "help", "tns", "<script>"])
def test_the_page_opens_at_a_tab(tab: str) -> None:
    words = words_of(PAGE.build(Visit("/stats", {"tab": tab, "night": "2024-01-02"}), of(Counts())))
    assert "Last night 2024-01-02" in words and "With classification 120 60.0% of all" in words


def test_an_empty_archive_has_words() -> None:
    assert "No night has been counted yet" in words_of(PAGE.build(Visit("/stats"), of(Counts(()))))
