"""The routes ``sso`` and ``ssobulk``: alerts of asteroids and comets under all their names."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import outside_services as faults
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archived import archived_alerts, science_rows
from outside_services import Outside, config_for, services, serving
from portal_client import Api
from portal_questions import archive_of

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal import records
from fink_broker.portal.ephemerides import HALF_EXPOSURE
from fink_broker.portal.providers.open import open_providers
from fink_broker.portal.providers.outside import Outside as Fetcher
from fink_broker.portal.sso_names import KnownName, rows_for

FETCHER = Fetcher()
#: name in alerts, and how many of them
SEEN = {
    "8467": 30, "Benoitcarry": 4, "91": 2, "915": 3, "Rubin": 2, "Rubincam": 3, "2010JO69": 2, "10P": 3,
    "C/2014UN271": 1,
}  # fmt: skip
#: as SsODNet has them, and the broker's table
NAMES = [
    KnownName("91", "Aegina", "91"),
    KnownName("915", "Cosette", "915"),
    KnownName("Rubin", "Rubin", "5726"),
    KnownName("Rubincam", "Rubincam", "4354"),
]


def seen() -> Archive:
    names = [name for name, count in SEEN.items() for _ in range(count)]
    count = len(names)
    random = np.random.default_rng(3)
    return archive_of(
        {
            "objectId": [f"ZTF24aaaa{chr(97 + row // 26)}{chr(97 + row % 26)}a" for row in range(count)],
            "candid": np.arange(count) + 2_500_000_000_000_000_000,
            "jd": 2460300.5 + random.uniform(0, 300, count).round(4),
            "fid": random.integers(1, 3, count),
            "ra": random.uniform(0, 360, count),
            "dec": random.uniform(-20, 20, count),
            "ssnamenr": names,
            "roid": [3] * count,
        }
    )


@pytest.fixture(scope="module")
def archive() -> Archive:
    archive = seen()
    records.write(archive, records.SSO, rows_for(NAMES))
    return archive


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serving(services) as server:
        yield server


@pytest.fixture
def api(archive: Archive, outside: Outside) -> Api:
    return Api(archive, open_providers(config_for(outside.url), FETCHER))


@pytest.fixture(scope="module")
def alone(archive: Archive) -> Api:
    """An API that asks nobody."""
    return Api(archive)


def names_in(rows: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row["i:ssnamenr"]] = found.get(row["i:ssnamenr"], 0) + 1
    return found


@pytest.mark.parametrize("name", ["8467", 8467, "Benoitcarry", "BENOITCARRY", "1981 EJ28", " 8467 "])
def test_all_names_of_an_object_are_found_whichever_is_asked_for(api: Api, name: Any) -> None:
    rows = api.rows("sso", n_or_d=name)
    assert names_in(rows) == {"8467": 30, "Benoitcarry": 4}
    assert {(row["sso_name"], row["sso_number"]) for row in rows} == {("Benoitcarry", 8467)}
    assert [row["i:jd"] for row in rows] == sorted((row["i:jd"] for row in rows), reverse=True)
    assert {row["d:roid"] for row in rows} == {3}
    assert {"v:classification", "v:lastdate", "v:constellation", "i:magpsf"} <= set(rows[0])
    assert api.get("sso", n_or_d=name).json() == rows


def test_the_table_of_names_is_asked_before_anybody_else(api: Api, outside: Outside, alone: Api) -> None:
    for client in (api, alone):
        rows = client.rows("sso", n_or_d="Aegina")
        assert names_in(rows) == {"91": 2}
        assert (rows[0]["sso_name"], rows[0]["sso_number"]) == ("Aegina", 91)
        assert names_in(client.rows("sso", n_or_d="91")) == {"91": 2}  # not 915
        assert names_in(client.rows("sso", n_or_d="rubin")) == {"Rubin": 2}  # not Rubincam
    assert not outside.requests


def test_several_objects(api: Api) -> None:
    rows = api.rows("sso", n_or_d="8467, 10P,91,Benoitcarry")
    assert names_in(rows) == {"8467": 30, "Benoitcarry": 4, "10P": 3, "91": 2}
    assert [row["i:jd"] for row in rows] == sorted((row["i:jd"] for row in rows), reverse=True)
    numbers = {row["i:ssnamenr"]: row["sso_number"] for row in rows}
    assert numbers == {"8467": 8467, "Benoitcarry": 8467, "10P": None, "91": 91}


def test_names_nobody_knows(api: Api, alone: Api) -> None:
    assert api.error("sso", n_or_d="kdflsjffld") == "'kdflsjffld is not a valid name or number according to quaero.\\n'"
    assert "SsODNet is not asked" in alone.error("sso", 424, n_or_d="kdflsjffld")


def test_services_away(api: Api, outside: Outside) -> None:
    outside.fault = faults.status(500)
    assert names_in(api.rows("sso", n_or_d="8467")) == {"8467": 30}  # as alerts are called
    assert names_in(api.rows("sso", n_or_d="benoitcarry")) == {"Benoitcarry": 4}
    assert names_in(api.rows("sso", n_or_d="C/2014 UN271")) == {"C/2014UN271": 1}
    assert "SsODNet could not be asked: it answers with status 500" in api.error("sso", 424, n_or_d="kdflsjffld")


def test_historic_takes_names_as_alerts_have_them(archive: Archive) -> None:
    historic = Api(archive, generation="historic")
    assert names_in(historic.rows("sso", n_or_d="8467")) == {"8467": 30}
    assert historic.rows("sso", n_or_d="kdflsjffld") == []


def test_chosen_columns(api: Api) -> None:
    rows = api.rows("sso", n_or_d="8467", columns="i:jd, i:magpsf")
    assert set(rows[0]) == {"i:jd", "i:magpsf", "i:ssnamenr", "sso_name", "sso_number"}
    rows = api.rows("sso", n_or_d="8467", columns="i:magpsf", withEphem=True)
    assert {"i:magpsf", "i:ssnamenr", "Phase", "i:magpsf_red"} <= set(rows[0])
    assert not {"i:jd", "i:fid", "i:candid"} & set(rows[0])
    rows = api.rows("sso", n_or_d="8467", columns="i:magpsf,Phase,sso_name,v:lastdate", withEphem="True")
    assert {"Phase", "v:lastdate"} <= set(rows[0])
    assert "There is no column `i:magpfs`" in api.error("sso", n_or_d="8467", columns="i:magpfs")


def test_a_column_that_is_named_is_given_whatever_the_flags_say(api: Api) -> None:
    always = {"i:ssnamenr", "sso_name", "sso_number"}
    rows = api.rows("sso", n_or_d="8467", columns="Phase,SDSS:g,i:magpsf_red")
    assert set(rows[0]) == always | {"Phase", "SDSS:g", "i:magpsf_red"}
    assert all(row["Phase"] > 0 and row["SDSS:g"] is not None for row in rows)
    left = [row["residuals_shg1g2"] for row in api.rows("sso", n_or_d="8467", columns="residuals_shg1g2")]
    assert left == [row["residuals_shg1g2"] for row in api.rows("sso", n_or_d="8467", withResiduals="True")]
    assert "for a list object names" in api.error("sso", n_or_d="91,8467", columns="residuals_shg1g2")
    (row, *_) = api.rows("sso", n_or_d="10P", columns="SDSS:g,Dobs")
    assert (row["SDSS:g"], row["Dobs"] > 0) == (None, True)
    image = "b:cutoutDifference_stampData"
    assert set(api.rows("sso", n_or_d="91", columns=f"i:jd,{image}")[0]) == always | {"i:jd", image}
    assert "Ask `objects` or `latests`" in api.error("sso", n_or_d="91", columns="v:rate")


def test_of_more_alerts_than_the_limit_the_latest_stay(archive: Archive) -> None:
    asked = {"n_or_d": "8467, Benoitcarry", "columns": "i:jd"}
    whole = Api(archive, generation="historic").rows("sso", **asked)
    cut = Api(archive, generation="historic", max_rows=5).post("sso", **asked)
    assert cut.json() == whole[:5]
    assert cut.headers["X-Fink-Truncated"] == "true"
    assert len(whole) == 34


def test_an_object_without_alerts_has_the_columns_of_others(archive: Archive) -> None:
    historic = Api(archive, generation="historic")
    nothing, some = (historic.frame("sso", n_or_d=name) for name in ("nobody", "8467"))
    assert nothing.empty
    assert set(some.columns) <= set(nothing.columns)
    assert historic.frame("sso", n_or_d="nobody", columns="i:jd").columns.tolist() == [
        "i:jd", "i:ssnamenr", "sso_name", "sso_number",
    ]  # fmt: skip


def test_ephemerides_are_those_of_each_alert(api: Api, outside: Outside) -> None:
    rows = api.rows("sso", n_or_d="8467", withEphem="True")
    assert len(rows) == 34
    for row in rows:
        middle = row["i:jd"] + HALF_EXPOSURE
        assert row["Date"] == pytest.approx(middle, abs=2e-6)
        assert row["Phase"] == pytest.approx(5 + 10 * (middle % 1), abs=1e-4)
        reduced = row["i:magpsf"] - 5 * math.log10(row["Dobs"] * row["Dhelio"])
        assert row["i:magpsf_red"] == pytest.approx(reduced)
    assert {"SDSS:g", "RA", "Elong."} <= set(rows[0])
    assert "residuals_shg1g2" not in rows[0]
    asked = [request for request in outside.requests if request.path == "/miriade/ephemcc.php"]
    assert len(asked) == 1
    assert asked[0].parameters["-name"] == "a:Benoitcarry"
    assert len(api.rows("sso", n_or_d="8467", withEphem=True)) == 34
    assert len(asked) == 1


def test_comets_have_no_colours(api: Api) -> None:
    rows = api.rows("sso", n_or_d="10P", withEphem=True)
    assert len(rows) == 3
    assert "Phase" in rows[0]
    assert not [name for name in rows[0] if name.startswith("SDSS:")]
    both = api.rows("sso", n_or_d="10P,8467", withEphem=True)
    assert {row["i:ssnamenr"] for row in both if row["SDSS:g"] is None} == {"10P"}
    alone = {row["i:candid"]: row["Phase"] for row in api.rows("sso", n_or_d="8467", withEphem=True)}
    assert alone == {row["i:candid"]: row["Phase"] for row in both if row["i:ssnamenr"] != "10P"}


def test_residuals(api: Api) -> None:
    rows = api.rows("sso", n_or_d="8467", withResiduals="True")
    left = np.array([row["residuals_shg1g2"] for row in rows])
    assert np.isfinite(left).all()
    assert np.median(np.abs(left)) < 0.5
    assert "Phase" in rows[0]
    few = api.frame("sso", n_or_d="91", withResiduals="True")
    assert few["residuals_shg1g2"].isna().all()
    text = "'You cannot request residuals for a list object names.\\n'"
    assert api.error("sso", n_or_d="91,8467", withResiduals="True") == text


@pytest.mark.parametrize(
    "fault",
    [faults.status(503), faults.with_body(b"{}"), faults.with_body(b'{"data": []}'), faults.with_body(b"<html>")],
    ids=["away", "no data", "too few", "no JSON"],
)
def test_no_ephemerides(api: Api, outside: Outside, fault: Any) -> None:
    outside.fault = fault
    text = "'We could not obtain the ephemerides information. Check Miriade availabilities.'"
    assert api.error("sso", n_or_d="91", withEphem="True") == text
    assert len(api.rows("sso", n_or_d="91")) == 2


def test_images_need_names(api: Api) -> None:
    asked = {"n_or_d": "91", "withcutouts": "True"}
    text = "\"You need to add 'i:objectId,i:candid' to the columns.\\n\""
    assert api.error("sso", **asked, columns="i:jd") == text.replace('\\"', '"')
    wrong = "'`cutout-kind` must be `Science`, `Difference`, or `Template`.\\n'"
    assert api.error("sso", **asked, cutout_kind="All") == wrong
    rows = api.rows("sso", **asked)
    assert rows[0]["b:cutoutScience_stampData"] is None  # this archive has no files
    rows = api.rows("sso", n_or_d="91", withCutouts=True, columns="i:objectId,i:candid", cutout_kind="Template")
    assert "b:cutoutTemplate_stampData" in rows[0]


def test_formats_agree(api: Api) -> None:
    asked = {"n_or_d": "8467", "columns": "i:objectId,i:candid,i:jd,i:magpsf", "withEphem": True}
    table = api.frame("sso", **asked)
    frame = pd.DataFrame(api.rows("sso", **asked))[table.columns]
    pd.testing.assert_frame_equal(table, frame, check_dtype=False, rtol=1e-6)
    csv = pd.read_csv(io.BytesIO(api.post("sso", **asked, output_format="csv").content))
    pd.testing.assert_frame_equal(table, csv[table.columns], check_dtype=False, rtol=1e-6)


HOSTILE = (
    "", " ", ",", "91;ls", "<script>", "a\nb", "\x00", 'x"y', "x\\y", "%2e%2e", "$(id)", "91_", "a" * 61, "🜛", "*",
    "?x=1#", "../../etc", "-1", "(", "a|b",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(api: Api, outside: Outside, name: str) -> None:
    answer = api.post("sso", n_or_d=name)
    assert answer.status_code == 400, answer.text
    assert not outside.requests
    assert "<script>" not in answer.text


def test_too_many_names(api: Api) -> None:
    assert "at most 100 names" in api.error("sso", n_or_d=",".join(map(str, range(1, 120))))


def test_bulk_is_every_light_curve(api: Api) -> None:
    table = api.frame("ssobulk").set_index("ssnamenr")
    assert {name: len(table.loc[name, "cjd"]) for name in SEEN} == SEEN
    assert list(table.columns) == ["cra", "cdec", "cmagpsf", "csigmapsf", "cfid", "cjd"]
    row = table.loc["8467"]
    expected = sorted(api.rows("sso", n_or_d="8467"), key=lambda each: each["i:jd"])
    expected = [each for each in expected if each["i:ssnamenr"] == "8467"]
    np.testing.assert_allclose(row["cjd"], [each["i:jd"] for each in expected])
    np.testing.assert_allclose(row["cra"], [each["i:ra"] for each in expected])
    np.testing.assert_array_equal(row["cfid"], [each["i:fid"] for each in expected])
    assert api.get("ssobulk").headers["content-type"] == "parquet"
    json = api.rows("ssobulk", output_format="json")
    assert len(json) == len(SEEN)


def test_bulk_in_small_pieces_is_the_same(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    from fink_broker.portal.routes import ssobulk  # noqa: PLC0415

    whole = pa.concat_tables(ssobulk._tables(archive.rows("ssnamenr", records.ALL)))
    monkeypatch.setattr(ssobulk, "TOGETHER", 2)
    pieces = list(ssobulk._tables(archive.rows("ssnamenr", records.ALL, page=3)))
    assert len(pieces) > 2
    assert pa.concat_tables(pieces).equals(whole)
    assert whole.num_rows == len(SEEN)


def test_bulk_of_nothing() -> None:
    assert Api().frame("ssobulk").empty


def test_real_asteroids(shared_data: Path) -> None:
    archive = archived_alerts(shared_data)
    rows = science_rows(shared_data)
    candidate = rows["candidate"].combine_chunks()
    names = pc.struct_field(candidate, "ssnamenr").to_pylist()
    known = [place for place, roid in enumerate(rows["roid"].to_pylist()) if roid == 3]
    assert len(known) > 50
    alone = Api(archive)
    for place in known[::15]:
        found = alone.rows("sso", n_or_d=names[place])
        mine = [other for other in known if names[other] == names[place]]
        assert {row["i:candid"] for row in found} == {rows["candid"][other].as_py() for other in mine}
        row = next(row for row in found if row["i:candid"] == rows["candid"][place].as_py())
        for field in ("jd", "magpsf", "ra", "dec", "ssdistnr", "fid"):
            assert row[f"i:{field}"] == pytest.approx(candidate[place][field].as_py(), rel=1e-6), field
    bulk = alone.frame("ssobulk")
    assert bulk["cjd"].map(len).sum() == len(known)
    assert set(bulk["ssnamenr"]) == {names[place] for place in known}
