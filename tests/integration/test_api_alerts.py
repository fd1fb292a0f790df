"""Routes about alerts and the sky, over HTTP and a real HBase: values are those of the real alerts' science table."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api import Served
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import votable

from fink_broker.archive.hbase import newest
from fink_broker.archive.hbase.tables import STRANGE
from fink_broker.portal import object_rows
from fink_broker.portal.images import image_of
from fink_broker.service.hbase import HBaseServer

pytestmark = pytest.mark.integration
EVERY = {"objectId": "ZTF", "startdate": "2018-01-01"}


@pytest.fixture(scope="module")
def served(served_archive: Served) -> Served:
    """The served API."""
    return served_archive


def rows(served: Served, route: str, **arguments: object) -> list[dict]:
    response = served.post(route, **arguments)
    assert response.status_code == 200, response.text[:300]
    found: list[dict] = response.json()
    return found


def busiest(served: Served) -> str:
    """Return the object with most alerts."""
    return Counter(served.science["objectId"].to_pylist()).most_common(1)[0][0]


def same(kind: pa.DataType, stored: object, sent: object) -> bool:
    """Tell whether a value came over the network as it is stored: 32-bit numbers exactly, others to 10 decimals."""
    if stored is None or (isinstance(stored, float) and not math.isfinite(stored)):
        return sent is None
    if pa.types.is_float32(kind):
        return np.float32(sent) == np.float32(stored) or abs(float(sent) - float(stored)) <= 5.1e-11
    if pa.types.is_float64(kind):
        return math.isclose(float(sent), float(stored), abs_tol=5.1e-11, rel_tol=1e-15)
    return type(sent) is type(stored) and sent == stored


def test_all_values_of_all_alerts_are_those_of_the_science_table(served: Served) -> None:
    found = {row["i:candid"]: row for row in rows(served, "objects", objectId="ZTF")}
    assert len(found) == len(served.science)
    jds = [row["i:jd"] for row in found.values()]
    assert jds == sorted(jds, reverse=True)
    candidates = served.science["candidate"].to_pylist()
    kinds = {field.name: field.type for field in served.science.schema.field("candidate").type}
    for candidate, row in zip(candidates, served.science.select(["candid", "objectId"]).to_pylist(), strict=True):
        sent = found[row["candid"]]
        assert sent["i:objectId"] == row["objectId"]
        for name, kind in kinds.items():
            stored = "null" if name == "ssnamenr" and candidate[name] is None else candidate[name]
            assert same(kind, stored, sent[f"i:{name}"]), (name, stored, sent[f"i:{name}"])
    ours = served.published.select([n for n in served.published.column_names if n.startswith("d:")])
    defaults = {"d:tracklet", "d:tns"} | {n for n in ours.column_names if n.startswith(("d:blazar", "d:lc_features"))}
    for candid, stored in zip(served.published["i:candid"].to_pylist(), ours.to_pylist(), strict=True):
        for field in ours.schema:
            if field.name not in defaults and field.name in found[candid]:
                value = stored[field.name]
                assert same(field.type, value, found[candid][field.name]), (field.name, value)


def test_formats_agree(served: Served) -> None:
    columns = "i:objectId,i:candid,i:jd,i:fid,i:magpsf,d:cdsxmatch,v:lastdate"
    asked = {"objectId": busiest(served), "columns": columns}
    frame = pd.DataFrame(rows(served, "objects", **asked))
    csv = pd.read_csv(io.BytesIO(served.post("objects", output_format="csv", **asked).content))
    parquet = pq.read_table(io.BytesIO(served.post("objects", output_format="parquet", **asked).content)).to_pandas()
    table = votable.parse_single_table(io.BytesIO(served.post("objects", output_format="votable", **asked).content))
    for other in (csv, parquet):
        assert set(other.columns) == set(frame.columns)
        for name in frame.columns:
            if frame[name].dtype.kind == "f":
                np.testing.assert_allclose(other[name].to_numpy(dtype=float), frame[name], rtol=1e-6)
            else:
                assert other[name].tolist() == frame[name].tolist()
    assert table.array["i_candid"].tolist() == frame["i:candid"].tolist()
    assert len(frame) > 1


def test_a_cone_is_what_astropy_finds_among_the_alerts(served: Served) -> None:
    alerts = served.published.select(["i:objectId", "i:ra", "i:dec", "i:jd", "i:candid"]).to_pandas()
    latest = alerts.sort_values(["i:jd", "i:candid"]).groupby("i:objectId").tail(1)
    centre = SkyCoord(latest["i:ra"].iloc[0], latest["i:dec"].iloc[0], unit="deg")
    separation = centre.separation(SkyCoord(latest["i:ra"], latest["i:dec"], unit="deg")).arcsec
    for radius in (5, 3600, 18000):
        found = rows(served, "conesearch", ra=centre.ra.deg, dec=str(centre.dec.deg), radius=f" {radius}")
        assert {row["i:objectId"] for row in found} == set(latest["i:objectId"][separation <= radius])
        assert found[0]["v:separation_degree"] < 1e-9
    notations = [
        (centre.ra.to_string(units.hourangle, sep="hms", precision=9), centre.dec.to_string(sep="dms", precision=8)),
        (centre.ra.to_string(units.hourangle, sep=":", precision=9), centre.dec.to_string(sep=":", precision=8)),
        (centre.ra.to_string(units.hourangle, sep=" ", precision=9), centre.dec.to_string(sep=" ", precision=8)),
        (centre.ra.to_string(units.deg, sep="dms", precision=8), f" {centre.dec.deg}"),
    ]
    expected = [row["i:objectId"] for row in rows(served, "conesearch", ra=centre.ra.deg, dec=centre.dec.deg, radius=5)]
    for ra, dec in notations:
        assert [row["i:objectId"] for row in rows(served, "conesearch", ra=ra, dec=dec, radius=5)] == expected


def test_every_class_has_all_its_alerts(served: Served) -> None:
    counts = Counter(served.published["d:classification"].to_pylist())
    for name, count in counts.items():
        found = rows(
            served, "latests", class_=name, n=5000, startdate="2018-01-01", columns="i:candid,v:classification"
        )
        assert len({row["i:candid"] for row in found}) == count
        assert {row["v:classification"] for row in found} == {name}


def test_images_are_those_of_the_science_table(served: Served) -> None:
    name = busiest(served)
    stored = served.science.filter(pa.compute.equal(served.science["objectId"], name))
    by_candid = dict(zip(stored["candid"].to_pylist(), stored["cutoutScience"].to_pylist(), strict=True))
    found = rows(served, "objects", objectId=name, columns="i:candid", withcutouts="True", **{"cutout-kind": "Science"})
    assert {row["i:candid"] for row in found} == set(by_candid)
    for row in found:
        image = np.array(row["b:cutoutScience_stampData"], dtype=float).astype(np.float32)
        np.testing.assert_array_equal(image, image_of(by_candid[row["i:candid"]]["stampData"]))


def asked(served: Served) -> dict[str, dict[str, object]]:
    """Return a question for each route, whose answer is not empty."""
    alert = served.published.slice(0, 1).to_pylist()[0]
    position = {"ra": alert["i:ra"], "dec": alert["i:dec"], "radius": 5}
    catalog = f"ID,RA,Dec\na,{alert['i:ra']},{alert['i:dec']}\n"
    return {
        "objects": {"objectId": alert["i:objectId"], "withupperlim": "True"},
        "conesearch": position,
        "explorer": position,
        "latests": {"class": alert["d:classification"], "startdate": "2018-01-01", "color": "1"},
        "anomaly": {"start_date": "2018-01-01", "columns": "i:candid,d:anomaly_score"},
        "statistics": {"date": "", "columns": "basic:sci"},
        "random": {"n": 3, "seed": 5, "columns": "i:objectId,i:jd"},
        "xmatch": {"catalog": catalog, "header": "RA,Dec,ID", "radius": 5},
    }


def test_of_many_alerts_the_latest_come_and_their_columns_are_read_piece_by_piece(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = {"objectId": "ZTF", "withupperlim": "True"}
    whole = rows(served, "objects", **question)
    monkeypatch.setattr(newest, "FEW", 100)
    monkeypatch.setattr(object_rows, "PIECE", 100)
    assert rows(served, "objects", **question) == whole
    jds = [row["i:jd"] for row in whole]
    assert jds == sorted(jds, reverse=True)


def test_every_recorded_column_may_be_named_at_once(served: Served, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "api" / "objects_ZTF19aaosfcb.json").read_text())["response"][0]
    asked = {"objectId": busiest(served), "columns": ",".join(recorded)}
    (row, *_) = rows(served, "objects", **asked)
    assert set(row) == set(recorded)
    assert served.get("objects", **asked).json()[0] == row


def test_get_equals_post_on_every_route(served: Served) -> None:
    for route, arguments in asked(served).items():
        posted, got = served.post(route, **arguments), served.get(route, **arguments)
        assert posted.status_code == got.status_code == 200, (route, posted.text[:300])
        assert posted.json() == got.json(), route
        assert len(posted.json()) > 0, route
    for route in ("schema", "classes", "columns"):
        assert len(served.get(route).json()) > 0


def test_anomalies_statistics_and_tracklets(served: Served) -> None:
    strange = rows(served, "anomaly", start_date="2018-01-01", n=1000, columns="i:candid,d:anomaly_score")
    scores = served.published.select(["i:candid", "d:anomaly_score"]).to_pylist()
    assert {row["i:candid"] for row in strange} == {
        row["i:candid"] for row in scores if row["d:anomaly_score"] is not None and row["d:anomaly_score"] < STRANGE
    }
    nights = rows(served, "statistics", date="")
    assert sum(int(row["basic:sci"]) for row in nights) == len(served.science)
    assert served.post("tracklet", id="TRCK_2000").json() == []
    assert "specify a date" in served.post("tracklet").text


def test_while_hbase_hangs_the_answer_is_503_and_afterwards_the_same_again(served: Served, hbase: HBaseServer) -> None:
    question = {"objectId": busiest(served), "columns": "i:candid,i:jd"}
    before = rows(served, "objects", **question)
    master = hbase.master.pid
    assert master
    os.kill(master, signal.SIGSTOP)
    try:
        started = time.monotonic()
        away = served.post("objects", **question)
        assert time.monotonic() - started < 10
    finally:
        os.kill(master, signal.SIGCONT)
    assert away.status_code == 503
    assert "archive does not answer" in away.text
    assert int(away.headers["Retry-After"]) > 0
    deadline = time.monotonic() + 30
    while (again := served.post("objects", **question)).status_code != 200:
        assert again.status_code == 503
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert json.loads(again.text) == before
