"""The routes ``metadata``, ``euclidin`` and ``eucliddata``: what users send, and who may."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from portal_client import Api

from fink_broker.portal.euclid_detections import PIPELINES

TOKEN = "a token of tests"  # noqa: S105
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
NOTE = {
    "objectId": "ZTF20aahjjjm",
    "internal_name": "Fink J042203.10+362318.7",
    "username": "someone",
    "comments": "red dwarf",
}
CHOOSE = "Choose one among: `objectId`, `internal_name`, `internal_name_encoded`"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("FINK_API_TOKEN", TOKEN)
    return Api(writable=True, public_url="https://portal.example/")


def test_notes_come_back(api: Api) -> None:
    answer = api.post("metadata", RIGHT, **NOTE)
    assert (answer.status_code, answer.text) == (
        200,
        "Thanks someone - You can visit https://portal.example/FinkJ042203.10+362318.7",
    )
    expected = {
        "i:objectId": "ZTF20aahjjjm",
        "d:internal_name": "Fink J042203.10+362318.7",
        "d:internal_name_encoded": "FinkJ042203.10+362318.7",
        "d:comments": "red dwarf",
        "d:username": "someone",
    }
    for asked in (
        {"objectId": "ZTF20aahjjjm"},
        {"objectId": "all"},
        {"internal_name": "Fink J042203.10+362318.7"},
        {"internal_name_encoded": "FinkJ042203.10+362318.7"},
    ):
        assert api.get("metadata", **asked).json() == [expected]
    assert api.get("metadata", objectId="ZTF20aahjjj").json() == []
    assert api.get("metadata", internal_name="Fink").json() == []
    api.post("metadata", RIGHT, **{**NOTE, "comments": "a flare"})
    api.post("metadata", RIGHT, objectId="ZTF17aaagtdb", internal_name="Fink 2", username="x")
    assert [row["d:comments"] for row in api.get("metadata", objectId="all").json()] == ["", "a flare"]


def test_historic_names_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_API_TOKEN", TOKEN)
    historic = Api(writable=True, generation="historic")
    historic.post("metadata", RIGHT, **NOTE)
    assert historic.get("metadata", objectId="all").json()[0]["key:key"] == "ZTF20aahjjjm"


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"objectId": "ZTF1", "internal_name": "x"}, f"Too many arguments! {CHOOSE} "),
        ({"name": "x"}, f"Argument not understood. {CHOOSE}."),
        ({"objectId": "a_b"}, "`objectId` is the name of one object"),
        ({"objectId": "../x"}, "`objectId` is the name of one object"),
    ],
)  # fmt: skip
def test_wrong_questions_are_told(api: Api, asked: dict[str, Any], text: str) -> None:
    answer = api.get("metadata", **asked)
    assert (answer.status_code, text in answer.text) == (400, True), answer.text


def test_what_reads_never_writes_and_what_writes_says_who(api: Api) -> None:
    told = api.get("metadata", **NOTE)
    assert (told.status_code, "Too many arguments!" in told.text) == (400, True)
    answer = api.post("metadata", RIGHT, objectId=NOTE["objectId"])
    assert (answer.status_code, "A value for `internal_name` is required" in answer.text) == (400, True)
    assert api.get("metadata", objectId="all").json() == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"objectId": None}, "A value for `objectId` is required"),
        ({"internal_name": None}, "A value for `internal_name` is required"),
        ({"username": None}, "A value for `username` is required"),
        ({"objectId": "ZTF1;x"}, "`objectId` is the name of one object"),
        ({"username": "<script>alert(1)</script>"}, "`username` may have"),
        ({"internal_name": "x<b>y"}, "`internal_name` may have"),
        ({"internal_name": "x" * 150}, "`internal_name` may have"),
        ({"comments": "x" * 5000}, "at most 4000 characters"),
        ({"comments": "\x00"}, "characters that cannot be part of it"),
    ],
)
def test_wrong_notes_are_told(api: Api, change: dict[str, Any], text: str) -> None:
    note = {name: value for name, value in {**NOTE, **change}.items() if value is not None}
    answer = api.post("metadata", RIGHT, **note)
    assert (answer.status_code, text in answer.text) == (400, True), answer.text
    assert "<script>" not in answer.text
    assert api.get("metadata", objectId="all").json() == []


def euclid(count: int = 30, pipeline: str = "ssopipe") -> bytes:
    """Return a file of a pipeline: 2 detections a day from 2021-01-01 on."""
    names = list(PIPELINES[pipeline])
    lines = [" ".join(names)]
    for index in range(count):
        values = {
            name: str(index) if kind == "int64" else f"{index + 0.5}" for name, kind in PIPELINES[pipeline].items()
        }
        mjd = {name: str(59215.25 + index // 2) for name in names if name.startswith("MJD")}
        lines.append("  ".join({**values, "CATALOG": "GAIA", **mjd}[name] for name in names))
    return "\n".join(lines).encode()


def sent(file: Any, **change: Any) -> dict[str, Any]:
    asked = {"EID": "6565656", "pipeline": "ssopipe", "version": "1.0", "date": "19881103"}
    return {**asked, "payload": file, "mode": "sandbox", **change}


@pytest.fixture
def euclid_api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("FINK_API_TOKEN", TOKEN)
    return Api(writable=True, generation="historic")


@pytest.mark.parametrize("form", ["literal", "base64", "multipart"])
def test_detections_come_back(euclid_api: Api, form: str) -> None:
    payload = euclid()
    if form == "multipart":
        rest = sent(None)
        del rest["payload"]
        answer = euclid_api.upload("euclidin", {"payload": ("file.txt", payload)}, RIGHT, **rest)
    else:
        text = str(payload) if form == "literal" else base64.b64encode(payload).decode()
        answer = euclid_api.post("euclidin", RIGHT, **sent(text))
    assert (answer.status_code, answer.text) == (200, "6565656 - ssopipe - 1.0 - 19881103 - Uploaded!")
    asked = {"pipeline": "ssopipe", "mode": "sandbox"}
    everything = euclid_api.frame("eucliddata", **asked, dates="*")
    assert len(everything) == 30
    original = pd.read_csv(io.BytesIO(payload), sep=r"\s+")
    got = everything.sort_values("d:INDEX").reset_index(drop=True)
    for name in original.columns:
        assert got[f"d:{name}"].tolist() == original[name].tolist(), name
    assert set(got["d:EID"]) == {"6565656"}
    assert set(got["d:submission_date"]) == {19881103}
    assert (got["d:pipeline"][0], got["d:version"][0]) == ("ssopipe", "1.0")
    assert got["d:N_DET"].dtype == np.int64
    counts = {"20210101": 2, "202101": 30, "20210101:20210102": 4, "20210103:20210103": 2, "2022": 0, "20220101": 0}
    assert {dates: len(euclid_api.rows("eucliddata", **asked, dates=dates)) for dates in counts} == counts
    chosen = euclid_api.rows("eucliddata", **asked, dates="*", columns="d:INDEX")
    assert list(chosen[0]) == ["d:INDEX"]
    assert euclid_api.rows("eucliddata", pipeline="ssopipe", dates="*") == []  # of production
    euclid_api.post("euclidin", RIGHT, **sent(str(payload)))
    assert len(euclid_api.rows("eucliddata", **asked, dates="*")) == 30  # the same again


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline_has_its_columns(euclid_api: Api, pipeline: str) -> None:
    answer = euclid_api.post("euclidin", RIGHT, **sent(str(euclid(3, pipeline)), pipeline=pipeline, mode="production"))
    assert answer.status_code == 200, answer.text
    table = euclid_api.frame("eucliddata", pipeline=pipeline, dates="*")
    names = (*PIPELINES[pipeline], "pipeline", "version", "submission_date", "EID")
    assert list(table.columns) == [f"d:{name}" for name in names]
    assert len(table) == 3


def changed(old: bytes, new: bytes) -> str:
    return str(euclid(3).replace(old, new, 1))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"payload": changed(b"RA ", b"ALPHA ")}, "Missing fields: ['RA']. New fields: ['ALPHA']."),
        ({"payload": changed(b"RA ", b"")}, "Missing fields: ['RA']"),
        ({"payload": changed(b"59215.25", b"never")}, "a value that is no number"),
        ({"payload": changed(b"59215.25", b"1e300")}, "without a date"),
        ({"payload": changed(b"59215.25", b"nan")}, "without a date"),
        ({"payload": changed(b"\n0 ", b"\n0.5 ")}, "a value that is no number"),
        ({"payload": changed(b"GAIA", b"GAIA more")}, "has 18 values, its header 17"),
        ({"payload": "b''"}, "`payload` must be a header"),
        ({"payload": str(b"\xff\xfe\xff")}, "not a text in UTF-8"),
        ({"payload": "__import__('os').system('true')"}, "`payload`"),
        ({"payload": "b'a' + b'b'"}, "`payload`"),
        ({"payload": "(" * 10000}, "`payload`"),
        ({"payload": 5}, "`payload`"),
        ({"pipeline": "other"}, "`pipeline` must be one of"),
        ({"EID": "a_b"}, "`EID` may have"),
        ({"EID": "../x"}, "`EID` may have"),
        ({"version": "1 0"}, "`version` may have"),
        ({"date": "today"}, "`date` must be YYYYMMDD"),
        ({"mode": "prod"}, "`mode` must be one of"),
        ({"EID": None}, "A value for `EID` is required"),
    ],
)
def test_wrong_files_are_told(euclid_api: Api, change: dict[str, Any], text: str) -> None:
    asked = {name: value for name, value in sent(str(euclid(3)), **change).items() if value is not None}
    answer = euclid_api.post("euclidin", RIGHT, **asked)
    assert answer.status_code == 400, answer.text
    assert text in answer.text.replace("\\'", "'")
    assert euclid_api.rows("eucliddata", pipeline="ssopipe", dates="*", mode="sandbox") == []


DATES = ("", "2021-01-01", "20210101:", ":20210101", "*:*", "x", "20210101:2021010a", "_", "202", "2021\x00")


@pytest.mark.parametrize("dates", DATES)
def test_wrong_dates_are_told(euclid_api: Api, dates: str) -> None:
    assert euclid_api.post("eucliddata", pipeline="ssopipe", dates=dates).status_code == 400


def test_unknown_columns_are_told(euclid_api: Api) -> None:
    assert "There is no column `d:INDX`" in euclid_api.error("eucliddata", pipeline="dl", dates="*", columns="d:INDX")


def test_a_large_file_is_taken_in_seconds(euclid_api: Api) -> None:
    assert euclid_api.post("euclidin", RIGHT, **sent(str(euclid(5000)))).status_code == 200
    assert len(euclid_api.rows("eucliddata", pipeline="ssopipe", dates="*", mode="sandbox")) == 5000


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
        {"X-Fink-Token": "é".encode()},
    ],
)
@pytest.mark.parametrize(("route", "asked"), [("metadata", NOTE), ("euclidin", sent(str(euclid(2))))])
def test_nobody_writes_without_the_token(
    monkeypatch: pytest.MonkeyPatch, route: str, asked: dict[str, Any], headers: Any
) -> None:
    monkeypatch.setenv("FINK_API_TOKEN", TOKEN)
    api = Api(writable=True, generation="historic")
    answer = api.post(route, headers, **asked)
    assert answer.status_code == 401, answer.text
    assert TOKEN not in answer.text


@pytest.mark.parametrize(("writable", "token"), [(False, TOKEN), (True, ""), (False, "")])
@pytest.mark.parametrize(("route", "asked"), [("metadata", NOTE), ("euclidin", sent(str(euclid(2))))])
def test_nobody_writes_where_nothing_is_taken(
    monkeypatch: pytest.MonkeyPatch, route: str, asked: dict[str, Any], writable: bool, token: str
) -> None:
    monkeypatch.setenv("FINK_API_TOKEN", token)
    api = Api(writable=writable, generation="historic")
    answer = api.post(route, {"Authorization": f"Bearer {token}"}, **asked)
    assert answer.status_code == 403, answer.text
    assert api.get("metadata", objectId="all").json() == []
