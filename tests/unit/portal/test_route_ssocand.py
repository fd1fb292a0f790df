"""The routes ``ssocand`` and ``ssoft``: candidates, their orbits, and the monthly tables."""

from __future__ import annotations

import ast
import io
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.time import Time
from portal_client import Api

from fink_broker.portal.resolver_files import load

ORBITS = {"ssoCandId": ["FF2022aaaaaxh", "FF2022aaaabcd"], "a": [2.5, 3.1], "e": [0.1, np.nan], "n": [4, 5]}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    folder = tmp_path_factory.mktemp("candidates")
    api = Api()
    jd = Time(["2020-01-01", "2020-06-01T12:00:00", "2020-12-31", "2022-03-01"]).jd
    names = [ORBITS["ssoCandId"][number] for number in (0, 1, 0, 0)]
    points = {
        "ssoCandId": names,
        "jd": jd,
        "magpsf": [18.0, 19.0, 18.5, 18.7],
        "dcmag": [17.9] * 4,
        "fid": [1, 2, 1, 2],
    }
    pq.write_table(pa.table(ORBITS), folder / "orbits.parquet")
    pd.DataFrame(points).to_csv(folder / "points.csv", index=False)
    assert load(api.archive, "orbits", folder / "orbits.parquet") == 2
    assert load(api.archive, "candidates", folder / "points.csv") == 4
    return api


def test_orbits(api: Api) -> None:
    rows = api.rows("ssocand", kind="orbParams")
    assert [(row["d:ssoCandId"], row["d:a"], row["d:e"], row["d:n"]) for row in rows] == [
        ("FF2022aaaaaxh", 2.5, 0.1, 4),
        ("FF2022aaaabcd", 3.1, None, 5),
    ]
    assert api.rows("ssocand", kind="orbParams", ssoCandId="FF2022aaaabcd") == rows[1:]
    assert api.rows("ssocand", kind="orbParams", ssoCandId="FF2022") == []
    assert len(api.rows("ssocand", kind="orbParams", maxnumber=1)) == 2  # light curves only
    assert api.get("ssocand", kind="orbParams").json() == rows


def test_light_curves(api: Api) -> None:
    rows = api.rows("ssocand", kind="lightcurves")
    assert [row["d:magpsf"] for row in rows] == [18.0, 19.0, 18.5, 18.7]
    assert {"d:jd", "d:dcmag", "d:ssoCandId", "d:fid"} <= set(rows[0])
    one = api.rows("ssocand", kind="lightcurves", ssoCandId="FF2022aaaaaxh")
    assert [row["d:magpsf"] for row in one] == [18.0, 18.5, 18.7]
    assert api.rows("ssocand", kind="lightcurves", maxnumber=" 2") == rows[2:]  # of too many the latest
    assert api.frame("ssocand", kind="lightcurves", ssoCandId="FF2022zzzzzzz").columns.tolist() == ["d:ssoCandId"]
    year = {"start_date": "2020-01-01", "stop_date": "2020-12-31"}
    assert api.rows("ssocand", kind="lightcurves", **year) == rows[:3]  # both ends included
    later = api.rows(
        "ssocand", kind="lightcurves", start_date=str(Time("2020-06-01").mjd), stop_date="2021-01-01 00:00:00"
    )
    assert later == rows[1:3]
    assert len(api.frame("ssocand", kind="lightcurves")) == 4


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "A value for `kind` is required"),
        ({"kind": "orbits"}, "`kind` must be one of orbParams, lightcurves"),
        ({"kind": "orbParams", "ssoCandId": "a_b"}, "`ssoCandId` is the name of a candidate"),
        ({"kind": "orbParams", "ssoCandId": "x' OR 1"}, "`ssoCandId` is the name of a candidate"),
        ({"kind": "lightcurves", "start_date": "yesterday"}, "`start_date` is not a date"),
        ({"kind": "lightcurves", "maxnumber": 0}, "`maxnumber` must be 1 or more"),
        ({"kind": "lightcurves", "maxnumber": "all"}, "`maxnumber` must be a whole number"),
    ],
)
def test_wrong_arguments_are_told(api: Api, asked: dict[str, Any], text: str) -> None:
    if asked:
        assert text in api.error("ssocand", **asked)
    else:
        assert text in api.post("ssocand").text


MONTH = datetime.now(UTC).strftime("%Y.%m")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Api:
    folder = tmp_path_factory.mktemp("ssoft")
    rows = pd.DataFrame(
        {
            "sso_name": ["Benoitcarry", "Julienpeloton", "2020 AA1"],
            "sso_number": [8467, 33803, None],
            "H_1": [13.1, 14.2, 17.0],
        }
    )
    for flavor, version in (("SHG1G2", MONTH), ("SHG1G2", "2023.07"), ("SOCCA", MONTH)):
        rows.assign(version=version, flavor=flavor).to_parquet(folder / f"ssoft_{flavor}_{version}.parquet")
    (folder / f"ssoft_HG_{MONTH}.parquet").write_bytes(b"PAR1 is not all it takes")
    return Api(ssoft_folder=str(folder))


def read(answer: Any) -> pd.DataFrame:
    assert answer.status_code == 200, answer.text
    return pd.read_parquet(io.BytesIO(answer.content))


def test_table_of_this_month(tables: Api) -> None:
    answer = tables.get("ssoft", flavor="SHG1G2")
    assert answer.headers["content-type"] == "application/parquet"
    assert read(answer)["version"].tolist() == [MONTH] * 3
    assert read(tables.post("ssoft"))["flavor"].tolist() == ["SHG1G2"] * 3
    assert read(tables.post("ssoft", version="2023.07"))["version"].tolist() == ["2023.07"] * 3
    assert read(tables.post("ssoft", flavor="SSHG1G2"))["flavor"].tolist() == ["SOCCA"] * 3


def test_rows_of_the_table(tables: Api) -> None:
    for asked in ({"sso_number": "33803"}, {"sso_number": 33803}, {"sso_name": "Julienpeloton"}):
        assert read(tables.post("ssoft", **asked))["sso_name"].tolist() == ["Julienpeloton"]
    rows = tables.rows("ssoft", sso_name="Benoitcarry", output_format="json")
    assert (rows[0]["sso_number"], rows[0]["H_1"]) == (8467, 13.1)
    nothing = read(tables.post("ssoft", sso_name="totocaca"))
    assert nothing.empty
    assert "H_1" in nothing.columns


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"version": "2023-08"}, "'version needs to be YYYY.MM\\n'"),
        ({"version": "2023.13"}, "'version needs to be YYYY.MM\\n'"),
        ({"version": "../2023.08"}, "'version needs to be YYYY.MM\\n'"),
        ({"version": "2023.06"}, "'version starts on 2023.07\\n'"),
        ({"flavor": "HG12"}, "\"flavor needs to be in ['SOCCA', 'SHG1G2', 'HG1G2', 'HG']\\n\""),
        ({"flavor": "../../x"}, "\"flavor needs to be in ['SOCCA', 'SHG1G2', 'HG1G2', 'HG']\\n\""),
        ({"sso_number": "one"}, "`sso_number` must be a whole number"),
    ],
)
def test_wrong_arguments_of_tables_are_told(tables: Api, asked: dict[str, Any], text: str) -> None:
    assert text in tables.error("ssoft", **asked)


def test_tables_that_are_not_there(tables: Api) -> None:
    assert "There is no table ssoft_HG1G2_2024.01." in tables.error("ssoft", 404, flavor="HG1G2", version="2024.01")
    answer = tables.post("ssoft", flavor="HG")  # a damaged file is the server's fault, told without a trace
    assert answer.status_code == 500
    assert "something that cannot be read" in answer.text
    assert "Traceback" not in answer.text


def test_historic_knows_no_socca() -> None:
    historic = Api(generation="historic")
    assert "\"flavor needs to be in ['SHG1G2', 'HG1G2', 'HG']\\n\"" in historic.post("ssoft", flavor="SOCCA").text
    assert list(historic.post("ssoft", schema=True).json()) == ["args"]


@pytest.mark.parametrize("flavor", ["SOCCA", "SHG1G2", "HG1G2", "HG"])
def test_schema_has_the_published_columns(tables: Api, flavor: str) -> None:
    answer = tables.post("ssoft", schema=True, flavor=flavor, output_format="json")
    told = answer.json()
    assert tables.get("ssoft", schema="True", flavor=flavor).json() == told
    assert {name: column["type"] for name, column in told.items()} == published(flavor)
    assert all(column["description"] for column in told.values())


def published(flavor: str) -> dict[str, str]:
    """Return name and type of the columns that fink-utils publishes; its module needs more than it takes to read it."""
    spec = find_spec("fink_utils")
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse((Path(spec.origin).parent / "sso" / "ssoft.py").read_text())
    function = next(
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "get_ssoft_columns"
    )
    names: dict[str, Any] = {}
    exec(compile(ast.Module([function], []), "ssoft", "exec"), names)  # noqa: S102 - a function of a pinned package
    common, *others = names["get_ssoft_columns"]("ztf")
    own = dict(zip(("HG", "HG1G2", "SHG1G2", "SOCCA"), others, strict=True))[flavor]
    return {name: column["type"] for name, column in {**common, **own}.items()}
