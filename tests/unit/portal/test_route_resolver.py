"""The route ``resolver``, and the files its tables are filled from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import outside_services as faults
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from outside_services import Outside, config_for, services, serving
from portal_client import Api
from portal_questions import archive_of

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.errors import DataError
from fink_broker.portal.providers.open import open_providers
from fink_broker.portal.providers.outside import Outside as Fetcher
from fink_broker.portal.resolver_files import CONTENTS, load

FETCHER = Fetcher()
TNS = pa.table(
    {
        "fullname": ["SN 2023Q", "SN 2023abc", "AT 2023xyz", "SN 2024aaa", "SN 2024bbb"],
        "internalname": ["ZTF23aaaahln, ATLAS23abc", "ZTF23aaaabbb", "ZTF23aaaahlnx", "Gaia24a", None],
        "ra": [10.123456, 20.0, 30.0, 40.0, 50.0],
        "declination": [-5.5, 0.0, 1.0, 2.0, 3.0],
        "type": ["SN Ia", "SN II", None, "SLSN-I", "TDE"],
        "redshift": [0.05, np.nan, None, 0.3, 0.01],
        "discoverydate": ["2023-01-01"] * 5,
    }
)
SSO = """ssnamenr,name,number
33803,Julienpeloton,33803
Julienpeloton,Julienpeloton,33803
2002MA06,624188,624188
624188,624188,624188
91,Aegina,91
915,Cosette,915
2020AA1,2020 AA1,
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = archive_of(
        {
            "objectId": ["ZTF18aabfjoi"] * 5 + ["ZTF23aabccya"] * 3,
            "candid": np.arange(8) + 2_500_000_000_000_000_000,
            "jd": 2460300.5 + np.arange(8),
            "ssnamenr": ["null"] * 5 + ["33803", "Julienpeloton", "7777"],
            "roid": [0] * 5 + [3] * 3,
            "cdsxmatch": ["GinGroup"] * 5 + ["Unknown"] * 3,
        }
    )
    folder = tmp_path_factory.mktemp("names")
    pq.write_table(TNS, folder / "tns.parquet")
    (folder / "sso.csv").write_text(SSO)
    assert load(archive, "tns", folder / "tns.parquet") == 6 + 5
    assert load(archive, "sso", folder / "sso.csv") == 12
    assert load(archive, "sso", folder / "sso.csv") == 12  # twice leaves what once leaves
    return archive


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serving(services) as server:
        yield server


@pytest.fixture
def api(archive: Archive, outside: Outside) -> Api:
    return Api(archive, open_providers(config_for(outside.url), FETCHER))


def values(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_tns_by_the_beginning_of_a_name(api: Api) -> None:
    for name in ("SN 2023", "sn 2023", " SN 2023"):
        rows = api.rows("resolver", resolver="tns", name=name)
        assert values(rows, "d:fullname") == ["SN 2023abc", "SN 2023Q", "SN 2023Q"]
    columns = {"d:fullname", "d:internalname", "d:ra", "d:declination", "d:type", "d:redshift"}
    assert set(rows[0]) == columns
    assert rows[1]["d:internalname"] == "ATLAS23abc"
    assert (rows[2]["d:ra"], rows[2]["d:declination"], rows[2]["d:redshift"]) == ("10.123456", "-5.5", "0.05")
    assert rows[0]["d:redshift"] == ""
    assert len(api.rows("resolver", resolver="tns", name="SN 2023", nmax="1")) == 1
    assert api.rows("resolver", resolver="tns", name="SN 1987A") == []
    assert len(api.rows("resolver", resolver="tns", name="")) == 6


def test_tns_of_an_object(api: Api) -> None:
    for reverse in (True, "True", "true"):
        rows = api.rows("resolver", resolver="tns", name="ZTF23aaaahln", reverse=reverse)
        assert [(row["d:fullname"], row["d:internalname"]) for row in rows] == [("SN 2023Q", "ZTF23aaaahln")]
    assert api.rows("resolver", resolver="tns", name="ZTF99aaaaaaa", reverse=True) == []
    assert len(api.get("resolver", resolver="tns", name="ZTF23aaaahln", reverse="True").json()) == 1


def test_more_names_than_a_page(tmp_path: Path) -> None:
    api = Api()
    count = 2500
    rows = {
        "fullname": [f"SN {number:05d}" for number in range(count)],
        "internalname": [f"X{number}" for number in range(count)],
    }
    blank = {name: [0.0] * count for name in ("ra", "declination", "type", "redshift")}
    pq.write_table(pa.table({**rows, **blank}), tmp_path / "tns.parquet")
    load(api.archive, "tns", tmp_path / "tns.parquet")
    assert len(api.rows("resolver", resolver="tns", name="SN")) == 10
    for more in ({}, {"nmax": 20}):  # as many as were asked for, or as the route gives where nothing is said
        assert "X-Fink-Truncated" not in api.post("resolver", resolver="tns", name="SN", **more).headers
    small = Api(api.archive, max_rows=30)
    for nmax in (30, 31):
        answer = small.post("resolver", resolver="tns", name="SN", nmax=nmax)
        assert (len(answer.json()), answer.headers.get("X-Fink-Max-Rows")) == (30, "30" if nmax > 30 else None)
    assert len(api.rows("resolver", resolver="tns", name="SN", nmax=2400)) == 2400
    assert len(api.rows("resolver", resolver="tns", name="", nmax=100000)) == count
    assert values(api.rows("resolver", resolver="tns", name=""), "d:fullname") == sorted(rows["fullname"])


def test_simbad_by_a_name(api: Api, outside: Outside) -> None:
    (row,) = api.rows("resolver", resolver="simbad", name="Markarian 2")
    assert list(row) == ["name", "oid", "oname", "otype", "jpos", "jradeg", "jdedeg", "refPos", "MType", "nrefs"]
    assert (row["oname"], row["jradeg"]) == ("NVSS J015453+365505 & co", "28.7241678")
    assert api.rows("resolver", resolver="simbad", name="nothing <so> called") == []
    outside.fault = faults.with_body(faults.BILLION_LAUGHS)
    assert "its answer makes no sense" in api.error("resolver", 424, resolver="simbad", name="another")
    outside.fault = faults.status(500)
    assert "CDS Sesame could not be asked" in api.error("resolver", 424, resolver="simbad", name="a third")
    assert len(api.rows("resolver", resolver="simbad", name="Markarian 2")) == 1  # remembered


def test_simbad_of_an_object(api: Api, outside: Outside) -> None:
    rows = api.rows("resolver", resolver="simbad", name="ZTF18aabfjoi", reverse=True)
    assert set(rows[0]) == {"i:objectId", "d:cdsxmatch", "i:ra", "i:dec", "i:candid", "i:jd"}
    assert values(rows, "d:cdsxmatch") == ["GinGroup"] * 5
    assert len(api.rows("resolver", resolver="simbad", name="ZTF18aabfjoi", reverse=True, nmax=2)) == 2
    assert api.rows("resolver", resolver="simbad", name="ZTF99aaaaaaa", reverse=True) == []
    assert not outside.requests


def test_ssodnet_by_a_name(api: Api, outside: Outside) -> None:
    rows = api.rows("resolver", resolver="ssodnet", name="624188")
    assert sorted(values(rows, "i:ssnamenr")) == ["2002MA06", "624188"]
    assert values(api.rows("resolver", resolver="ssodnet", name="julienpeloton"), "i:name") == ["Julienpeloton"] * 2
    assert sorted(values(api.rows("resolver", resolver="ssodnet", name="91"), "i:number")) == ["91", "915"]
    assert values(api.rows("resolver", resolver="ssodnet", name="91", nmax=1), "i:number") == ["91"]
    assert values(api.rows("resolver", resolver="ssodnet", name="91@"), "i:number") == ["91"]
    (row,) = api.rows("resolver", resolver="ssodnet", name="2020 aa1", nmax=1)
    assert row == {"i:ssnamenr": "2020AA1", "i:name": "2020 AA1", "i:number": ""}
    assert not outside.requests


def test_ssodnet_in_historic(archive: Archive) -> None:
    historic = Api(archive, generation="historic")
    assert values(historic.rows("resolver", resolver="ssodnet", name="91-"), "i:number") == ["91"]


def test_ssodnet_asks_the_service_for_what_the_table_lacks(api: Api, outside: Outside) -> None:
    assert api.rows("resolver", resolver="ssodnet", name="Ceres") == []  # nobody saw it
    assert len(outside.requests) == 1
    assert api.rows("resolver", resolver="ssodnet", name="kdflsjffld") == []
    outside.fault = faults.status(500)
    assert "SsODNet could not be asked" in api.error("resolver", 424, resolver="ssodnet", name="kdflsj")


def test_ssodnet_of_an_object(api: Api) -> None:
    rows = api.rows("resolver", resolver="ssodnet", name="ZTF23aabccya", reverse=True)
    assert [tuple(row.values()) for row in rows] == [
        ("33803", "Julienpeloton", "33803"),
        ("Julienpeloton", "Julienpeloton", "33803"),
        ("7777", "", "7777"),
    ]
    assert api.rows("resolver", resolver="ssodnet", name="ZTF18aabfjoi", reverse=True) == []


def test_formats_agree(api: Api) -> None:
    asked = {"resolver": "tns", "name": "SN 2023"}
    table = api.frame("resolver", **asked)
    assert table.to_dict("records") == api.rows("resolver", **asked)
    parsed = votable.parse(io.BytesIO(api.post("resolver", **asked, output_format="votable").content))
    assert len(parsed.get_first_table().to_table()) == 3
    csv = pd.read_csv(io.BytesIO(api.post("resolver", **asked, output_format="csv").content), dtype=str)
    assert csv["d:fullname"].tolist() == table["d:fullname"].tolist()


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"name": "x"}, "A value for `resolver` is required"),
        ({"resolver": "tns"}, "A value for `name` is required"),
        ({"resolver": "gaia", "name": "x"}, "`resolver` must be one of tns, simbad, ssodnet"),
        ({"resolver": "tns", "name": "ZTF*", "reverse": "True"}, "`name` must be the name of an object"),
        ({"resolver": "ssodnet", "name": "../..", "reverse": "True"}, "`name` must be the name of an object"),
        ({"resolver": "simbad", "name": ""}, "`name` must be a name"),
        ({"resolver": "simbad", "name": "", "reverse": "True"}, "`name` must be the name of an object"),
        ({"resolver": "ssodnet", "name": ""}, "`name` must be names or numbers"),
        ({"resolver": "ssodnet", "name": "@"}, "`name` must be names or numbers"),
        ({"resolver": "ssodnet", "name": "a;b"}, "`name` must be names or numbers"),
        ({"resolver": "tns", "name": "x" * 200}, "at most 100 characters"),
        ({"resolver": "tns", "name": "x", "nmax": 0}, "`nmax` must be 1 or more"),
        ({"resolver": "tns", "name": "x", "nmax": "many"}, "`nmax` must be a whole number"),
        ({"resolver": "tns", "name": "x", "nmax": 10**9}, "`nmax` must be"),
        ({"resolver": "tns", "name": "a\x00b"}, "characters that cannot be part of it"),
    ],
)
def test_wrong_arguments_are_told(api: Api, asked: dict[str, Any], text: str) -> None:
    assert text in api.error("resolver", **asked)


@pytest.mark.parametrize("name", ["%_", "_", "\\", "sn%202023", "SN 2023'; DROP", "(?i)sn", "{}", "ﬁ", "🜛"])
def test_names_are_compared_as_they_are(api: Api, name: str) -> None:
    assert api.rows("resolver", resolver="tns", name=name) == []


def test_tables_that_nobody_made_are_empty() -> None:
    api = Api(Archive(MemoryStore(), "ztf"))
    assert api.rows("resolver", resolver="tns", name="SN") == []
    assert api.get("metadata", objectId="all").json() == []


def test_hbase_away_is_no_empty_table() -> None:
    store = MemoryStore()
    api = Api(Archive(store, "ztf"))
    store.away = True
    assert api.post("resolver", resolver="tns", name="SN").status_code == 503


def damaged() -> dict[str, bytes]:
    return {
        "no.parquet": b"PAR1 nothing",
        "empty.csv": b"",
        "columns.csv": b"a,b\n1,2\n",
        "ragged.csv": b"fullname,internalname,ra,declination,type,redshift\n1,2\n",
    }


@pytest.mark.parametrize("name", damaged())
@pytest.mark.parametrize("content", CONTENTS)
def test_files_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(damaged()[name])
    with pytest.raises(DataError, match=name):
        load(Archive(MemoryStore(), "ztf"), content, tmp_path / name)
    with pytest.raises(DataError, match="absent"):
        load(Archive(MemoryStore(), "ztf"), content, tmp_path / "absent")
