"""``latests``, ``classes``, ``anomaly``, ``tracklet``, ``random``: alerts by class and by time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archived import archived_alerts, empty_archive
from fink_utils.xmatch.simbad import get_simbad_labels
from portal_questions import answer, archive_of, as_table, document, rows

from fink_broker.archive.hbase.reader import Archive
from fink_broker.archive.hbase.tables import STRANGE
from fink_broker.config import Config
from fink_broker.portal.class_names import FINK_CLASSES, SIMBAD_TYPES, TNS_TYPES
from fink_broker.portal.computed import COLOURS
from fink_broker.portal.route import RequestError, Rows
from fink_broker.portal.routes.random_objects import drawing_start
from fink_broker.science.finkclass import CLASSES

FIRST = 2460000.5
COUNT = 60
NAMES = [f"ZTF21{number // 3:07d}" for number in range(COUNT)]
LOW = [{"m0": 2.0 if number % 2 else 0.5, "m1": 0.1, "m2": 0.1, "instantness_low": 0.5, "robustness_low": 0.5,
        "instantness_high": 0.1, "robustness_high": 0.1} for number in range(COUNT)]  # fmt: skip


@pytest.fixture(scope="module")
def archive() -> Archive:
    """Twenty objects of three alerts, a day apart each, in turn of three classes."""
    number = np.arange(COUNT)
    return archive_of(
        {
            "objectId": NAMES,
            "jd": FIRST + number * 1.0,
            "fid": 1 + number % 2,
            "magpsf": 18.0 + 0.01 * number,
            "finkclass": [("SN candidate", "Star", "Unknown")[n % 3] for n in number],
            "tns": [("SN Ia", "", "SN Ib/c")[n % 3] for n in number],
            "mag_rate": np.where(number % 2, 1.0, -1.0),
            "tracklet": [f"TRCK_20230225_03{n:02d}00_0{n % 2}" if n < 10 else "" for n in number],
            "anomaly_score": np.where(number < 20, -0.03, 0.1),
            "slsn_score": np.where(number % 3 == 0, 0.9, 0.0).astype(np.float32),
            "blazar_stats": pa.array([list(each.items()) for each in LOW], pa.map_(pa.string(), pa.float64())),
        }
    )


def times(archive: Archive, **arguments: object) -> list[int]:
    """Return which alerts come, by their number."""
    found = rows(archive, "latests", **arguments)
    return [round(jd - FIRST) for jd in found["i:jd"].to_pylist()] if len(found) else []


def test_the_latest_alerts_of_a_class_come_first(archive: Archive) -> None:
    assert times(archive, class_="SN candidate", n=" 3") == [57, 54, 51]
    assert times(archive, class_="SN candidate") == list(range(57, 27, -3))
    assert times(archive, class_="(SIMBAD) Star", n=2) == times(archive, class_="Star", n=2) == [58, 55]
    assert times(archive, class_="allclasses", n=4) == [59, 58, 57, 56]
    assert times(archive, class_="No such class") == []


def test_dates_may_be_iso_jd_or_mjd(archive: Archive) -> None:
    first, last = FIRST + 12, FIRST + 18
    for start, stop in ((first, last), (first - 2400000.5, last - 2400000.5), ("2023-03-09", "2023-03-15 00:00:00")):
        assert times(archive, class_="SN candidate", startdate=start, stopdate=stop) == [18, 15, 12]


def test_types_of_the_name_server_have_their_own_table(archive: Archive) -> None:
    assert times(archive, class_="(TNS) SN Ia", n=4) == [57, 54, 51, 48]
    assert times(archive, class_="(TNS) SN Ib/c", n=2) == [59, 56]
    assert times(archive, class_="(TNS) SN") == []
    assert times(archive, class_="(TNS) no such type") == []


def test_the_historic_generation_gives_one_alert_of_each_object_of_the_name_server() -> None:
    archive = archive_of({"objectId": NAMES[:6], "jd": FIRST + np.arange(6), "tns": ["SN Ia"] * 6})
    arguments = {"class": "(TNS) SN Ia"}
    assert len(as_table(answer(archive, "latests", arguments))) == 6
    historic = as_table(answer(archive, "latests", arguments, generation="historic"))
    assert historic["i:jd"].to_pylist() == [FIRST + 5, FIRST + 2]


def test_trends_select_before_the_limit(archive: Archive) -> None:
    assert times(archive, class_="SN candidate", trend="fading", n=3) == [57, 51, 45]
    assert times(archive, class_="SN candidate", trend="rising", n=3) == [54, 48, 42]


@pytest.mark.parametrize("trend", ["sideways", "low_state", "RISING'", "__import__"])
def test_a_trend_that_is_none_is_refused(archive: Archive, trend: str) -> None:
    with pytest.raises(RequestError, match="is not a valid trend"):
        times(archive, class_="SN candidate", trend=trend)


def test_blazars_and_superluminous_supernovae_come_once_an_object() -> None:
    number = np.arange(6)
    stats = [{"m0": 2.0 * (n < 3), "instantness_low": 0.2 + 0.8 * (n < 3), "robustness_low": 0.9,
              "instantness_high": 2.0, "robustness_high": 1.5} for n in number]  # fmt: skip
    archive = archive_of(
        {
            "objectId": NAMES[:6], "jd": FIRST + number, "slsn_score": np.full(6, 0.9, np.float32),
            "blazar_stats": pa.array([list(each.items()) for each in stats], pa.map_(pa.string(), pa.float64())),
        }
    )  # fmt: skip
    low = "(CTA) Blazar low state"
    assert times(archive, class_="SLSN candidate") == [5, 2]
    assert times(archive, class_="(CTA) Blazar high state") == [5, 2]
    assert times(archive, class_=low) == [5, 2]
    assert times(archive, class_=low, trend="low_state") == [2]
    assert times(archive, class_=low, trend="new_low_state") == [2]
    assert times(archive, class_=low, n=1) == [5]


def test_colours_come_where_they_are_asked_for_and_from_the_whole_light_curve(archive: Archive) -> None:
    plain = rows(archive, "latests", class_="SN candidate", n=2)
    coloured = rows(archive, "latests", class_="SN candidate", n=2, color="anything")
    added = {"v:rate", "v:sigma(rate)", "v:g-r", "v:sigma(g-r)", "v:rate(g-r)", "v:sigma(rate(g-r))"}
    assert set(coloured.column_names) - set(plain.column_names) == added
    archive = archive_of(
        {"objectId": NAMES[:3], "jd": FIRST + np.arange(3), "magpsf": [18.0, 17.0, 15.5],
         "finkclass": ["Unknown", "Unknown", "SN candidate"]}
    )  # fmt: skip
    assert rows(archive, "latests", class_="SN candidate", color="")["v:rate"].to_pylist() == [-1.5]
    assert rows(archive, "latests", class_="SN candidate", columns="v:rate")["v:rate"].to_pylist() == [-1.5]


def test_rows_hold_what_index_tables_hold_and_the_rest_on_request(archive: Archive) -> None:
    whole = rows(archive, "latests", class_="SN candidate", n=1)
    assert "i:magap" not in whole.column_names
    assert rows(archive, "latests", class_="SN candidate", n=1, columns="i:magap,i:objectId").to_pylist() == [
        {"i:magap": 18.25, "i:objectId": NAMES[57]}
    ]


def test_an_answer_that_the_api_cuts_says_so_and_one_the_client_cuts_does_not(archive: Archive) -> None:
    small = Config(api={"max_rows": 5, "resolvers": ["none"]})
    for arguments, is_cut in (({"n": 4}, False), ({"n": 5}, False), ({"n": 6}, True), ({}, True)):
        result = answer(archive, "latests", {"class": "SN candidate", **arguments}, config=small)
        assert isinstance(result, Rows)
        assert result.is_cut == is_cut
        assert len(as_table(result)) == min(arguments.get("n", 10), 5)


def test_an_answer_of_as_many_rows_as_the_route_gives_by_default_is_not_cut(archive: Archive) -> None:
    for route, arguments in (("latests", {"class": "SN candidate"}), ("anomaly", {})):
        result = answer(archive, route, arguments)
        assert isinstance(result, Rows)
        assert not result.is_cut
        assert len(as_table(result)) == 10


@pytest.mark.parametrize(
    ("route", "arguments"),
    [("latests", {"class": "no such class"}), ("anomaly", {"stop_date": "2019-11-02"}), ("tracklet", {"id": "TRCK_2"})],
)
def test_an_answer_without_rows_has_the_columns_of_others(archive: Archive, route: str, arguments: dict) -> None:
    full = {"latests": {"class": "SN candidate"}, "anomaly": {}, "tracklet": {"id": "TRCK_20230225"}}[route]
    found, other = rows(empty_archive(), route, **arguments), rows(archive, route, **full)
    assert len(found) == 0
    assert set(other.column_names) <= set(found.column_names)
    assert {name: found.schema.field(name).type for name in ("i:jd", "i:candid", "i:magpsf", "v:lastdate")} == {
        "i:jd": pa.float64(), "i:candid": pa.int64(), "i:magpsf": pa.float32(), "v:lastdate": pa.string(),
    }  # fmt: skip
    named = rows(empty_archive(), route, **arguments, columns="i:magap,v:lapse")
    assert named.schema == pa.schema([("i:magap", pa.float32()), ("v:lapse", pa.float64())])


@pytest.mark.parametrize(("route", "arguments"), [("anomaly", {}), ("tracklet", {"id": "TRCK_20230225"})])
@pytest.mark.parametrize("column", COLOURS)
def test_colours_are_refused_where_light_curves_are_not_read(
    archive: Archive, route: str, arguments: dict, column: str
) -> None:
    with pytest.raises(RequestError, match="Ask `objects` or `latests`"):
        rows(archive, route, **arguments, columns=f"i:jd,{column}")


def test_of_more_tracklets_than_the_limit_the_latest_stay(archive: Archive) -> None:
    small = Config(api={"max_rows": 3, "resolvers": ["none"]})
    result = answer(archive, "tracklet", {"id": "TRCK_2023"}, config=small)
    assert isinstance(result, Rows)
    assert result.is_cut
    assert [round(jd - FIRST) for jd in as_table(result)["i:jd"].to_pylist()] == [9, 8, 7]


def test_of_more_alerts_of_random_objects_than_the_limit_the_latest_stay(archive: Archive) -> None:
    arguments = {"n": 4, "seed": 3}
    whole = as_table(answer(archive, "random", arguments, generation="historic"))
    small = Config(api={"max_rows": 5, "resolvers": ["none"]})
    result = answer(archive, "random", arguments, generation="historic", config=small)
    assert isinstance(result, Rows)
    assert result.is_cut
    assert as_table(result)["i:jd"].to_pylist() == whole["i:jd"].to_pylist()[:5]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": "many"}, {"startdate": "x"}, {"stopdate": "nan"}, {"columns": "x"}])
def test_wrong_arguments_are_refused(archive: Archive, wrong: dict) -> None:
    with pytest.raises(RequestError):
        times(archive, class_="SN candidate", **wrong)


@pytest.mark.parametrize("name", ["../../x", "SN_candidate", "%", "' or 1", "a" * 900, "(TNS)", "_", "é"])
def test_strange_names_of_classes_reach_no_other_rows(archive: Archive, name: str) -> None:
    assert times(archive, class_=name) == []


def test_every_real_class_has_its_alerts(shared_data: Path) -> None:
    archive = archived_alerts(shared_data)
    stored = archive.alerts(["ZTF"], ["d:classification", "i:candid"])
    counts = Counter(stored["d:classification"].to_pylist())
    assert len(counts) > 5
    for name, count in counts.items():
        found = rows(archive, "latests", class_=name, n=5000, startdate="2018-01-01")
        assert len(found) == count
        assert set(found["v:classification"].to_pylist()) == {name}
        assert (np.diff(found["i:jd"].to_numpy()) <= 0).all()


def test_classes_are_listed_in_three_sorted_lists(archive: Archive) -> None:
    current = document(archive, "classes")
    own, tns, simbad = current.values()
    assert list(current)[:2] == ["Fink classifiers", "Cross-match with TNS"]
    assert set(own) == set(FINK_CLASSES) >= set(CLASSES)
    assert set(tns) == {f"(TNS) {name}" for name in TNS_TYPES}
    assert len(tns) == 43
    for names in current.values():
        assert names == sorted(names, key=str.casefold)
    historic = document(archive, "classes", "historic")["classnames"]
    assert set(own) - set(historic["Fink classifiers"]) == {
        "SLSN candidate", "(CTA) Blazar low state", "(CTA) Blazar high state",
    }  # fmt: skip
    assert historic["TNS classified data"] == tns
    assert simbad in historic.values()


def test_labels_of_simbad_are_those_of_fink_utils() -> None:
    assert set(SIMBAD_TYPES) == set(get_simbad_labels("old_and_new"))
    assert len(set(SIMBAD_TYPES)) == len(SIMBAD_TYPES)


def anomalies(archive: Archive, **arguments: object) -> list[int]:
    found = rows(archive, "anomaly", **arguments)
    return [round(jd - FIRST) for jd in found["i:jd"].to_pylist()] if len(found) else []


def test_the_latest_strange_alerts_come_first(archive: Archive) -> None:
    assert anomalies(archive) == list(range(19, 9, -1))
    assert anomalies(archive, n=2) == [19, 18]
    found = rows(archive, "anomaly", n=30, columns="d:anomaly_score,i:magap")
    assert found.column_names == ["d:anomaly_score", "i:magap"]
    assert max(found["d:anomaly_score"].to_pylist()) < STRANGE < 0


def test_the_last_day_of_anomalies_is_included(archive: Archive) -> None:
    assert anomalies(archive, start_date="2023-02-26", stop_date="2023-02-27") == [3, 2, 1]
    assert anomalies(archive, start_date=FIRST + 18) == [19, 18]


def tracklets(archive: Archive, **arguments: object) -> list[int]:
    found = rows(archive, "tracklet", **arguments)
    return [round(jd - FIRST) for jd in found["i:jd"].to_pylist()] if len(found) else []


def test_tracklets_are_found_by_name_and_date_whole_or_begun(archive: Archive) -> None:
    assert tracklets(archive, id="TRCK_20230225_030300_01") == [3]
    assert tracklets(archive, id="TRCK_20230225") == list(range(9, -1, -1))
    assert tracklets(archive, date="2023-02-25 03:03:00 01") == tracklets(archive, date="2023-02-25T03:03") == [3]
    assert tracklets(archive, date="2023-02-25") == list(range(9, -1, -1))
    assert tracklets(archive, id="TRCK_2024") == []
    found = rows(archive, "tracklet", id="TRCK_20230225_030300_01", columns="d:tracklet,i:magap")
    assert found.to_pylist() == [{"d:tracklet": "TRCK_20230225_030300_01", "i:magap": 18.25}]


@pytest.mark.parametrize("wrong", [{}, {"date": "yesterday"}, {"date": "x" * 41}, {"id": ""}])
def test_a_tracklet_without_name_or_date_is_refused_in_the_words_of_the_contract(archive: Archive, wrong: dict) -> None:
    with pytest.raises(RequestError) as error:
        tracklets(archive, **wrong)
    assert error.value.text == "You need to specify a date at the format YYYY-MM-DD hh:mm:ss\n"


@pytest.mark.parametrize("name", ["TRCK%", "a,b", "x:exact", "..", "TRCK*"])
def test_what_is_no_name_of_a_tracklet_is_refused(archive: Archive, name: str) -> None:
    with pytest.raises(RequestError):
        tracklets(archive, id=name)


def drawn(archive: Archive, **arguments: object) -> Counter:
    found = as_table(answer(archive, "random", arguments, generation="historic"))
    return Counter(found["i:objectId"].to_pylist()) if len(found) else Counter()


def test_random_objects_come_with_all_their_alerts_and_none_twice(archive: Archive) -> None:
    found = drawn(archive, n=" 7")
    assert len(found) == 7
    assert set(found.values()) == {3}


def test_the_same_seed_draws_the_same_and_others_draw_others(archive: Archive) -> None:
    assert drawn(archive, n=5, seed=11) == drawn(archive, n=5, seed="11")
    assert len({frozenset(drawn(archive, n=5, seed=seed)) for seed in range(8)}) > 4
    assert len({frozenset(drawn(archive, n=5)) for _ in range(8)}) > 4


def test_no_more_objects_are_drawn_than_there_are_or_than_16(archive: Archive) -> None:
    assert len(drawn(archive, n=1000, seed=1)) == 16
    assert drawn(archive, n=3, **{"class": "No such class"}) == Counter()
    few = archive_of({"objectId": NAMES[:6], "jd": FIRST + np.arange(6)})
    assert len(drawn(few, n=5, seed=2)) == 2


def test_random_objects_may_be_of_a_class_and_with_few_columns(archive: Archive) -> None:
    found = as_table(
        answer(
            archive,
            "random",
            {"n": 4, "class": "Star", "columns": "i:objectId,d:classification"},
            generation="historic",
        )
    )
    assert found.column_names == ["i:objectId", "d:classification"]
    pairs = set(zip(*(found[name].to_pylist() for name in found.column_names), strict=True))
    assert len({name for name, kind in pairs if kind == "Star"}) == 4


def test_a_month_more_of_data_changes_few_of_the_drawings() -> None:
    starts = [[drawing_start(seed, 2461000.5 + 30 * months) for seed in range(300)] for months in (0, 1)]
    changed = sum(before != after for before, after in zip(*starts, strict=True))
    assert 0 < changed < 30
    assert min(starts[0]) >= 2458789.625
    assert len(set(starts[0])) == 300
