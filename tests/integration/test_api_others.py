"""Solar system, names, images and notes by a served API over a real HBase; values are those of the science table."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from api import Served
from astropy.io import fits
from PIL import Image

from fink_broker.portal import records
from fink_broker.portal.resolver_files import load

pytestmark = pytest.mark.integration


def test_images_are_those_of_the_packets(served_archive: Served) -> None:
    served = served_archive
    for alert in served.science.select(["objectId", "candid", "cutoutScience"]).to_pylist()[::60]:
        asked = {"objectId": alert["objectId"], "candid": str(alert["candid"]), "kind": "Science"}
        stamp = gzip.decompress(alert["cutoutScience"]["stampData"])
        assert served.get("cutouts", **asked, output_format="FITS").content == stamp
        array = served.post("cutouts", **asked, output_format="array").json()["b:cutoutScience_stampData"]
        expected = fits.getdata(io.BytesIO(stamp), ignore_missing_simple=True).astype(np.float32)
        np.testing.assert_array_equal(np.array(array, dtype=np.float32), expected)
    answers = [
        served.get("cutouts", objectId=name, kind="Science") for name in served.science["objectId"][:30].to_pylist()
    ]
    assert {Image.open(io.BytesIO(answer.content)).size for answer in answers} == {(63, 63)}
    assert served.get("cutouts", objectId="ZTF99aaaaaaa", kind="Science").status_code == 404


def test_asteroids(served_archive: Served) -> None:
    served = served_archive
    known = served.published.filter(pc.equal(served.published["d:roid"], 3))
    assert len(known) > 50
    name = known["i:ssnamenr"][0].as_py()
    mine = known.filter(pc.equal(known["i:ssnamenr"], name)).to_pandas().set_index("i:candid")
    rows = served.post("sso", n_or_d=name).json()
    assert {row["i:candid"] for row in rows} == set(mine.index)
    for row in rows:
        for column in ("i:objectId", "i:jd", "i:fid", "i:ra", "i:dec", "d:cdsxmatch"):
            assert row[column] == pytest.approx(mine.loc[row["i:candid"], column]), column
        assert row["i:magpsf"] == pytest.approx(float(mine.loc[row["i:candid"], "i:magpsf"]), abs=1e-5)
    bulk = pd.read_parquet(io.BytesIO(served.get("ssobulk").content))
    assert bulk["cjd"].map(len).sum() == len(known)
    with_images = served.post("sso", n_or_d=name, withcutouts=True, columns="i:objectId,i:candid").json()
    assert np.shape(with_images[0]["b:cutoutScience_stampData"]) == (63, 63)
    assert served.get("sso", n_or_d="kdflsjffld").status_code == 424  # nobody is asked
    assert served.get("sso", n_or_d=name, withEphem="True").status_code == 400


def test_names(served_archive: Served, tmp_path: Path) -> None:
    served = served_archive
    assert served.get("resolver", resolver="tns", name="").json() == []  # the table is not there yet
    seen = served.published.filter(pc.equal(served.published["d:roid"], 3))
    object_id, ssnamenr = (seen[name][0].as_py() for name in ("i:objectId", "i:ssnamenr"))
    fill(served, tmp_path, object_id, ssnamenr)
    (row,) = served.get("resolver", resolver="tns", name="sn 2023q").json()
    assert row["d:internalname"] == object_id
    assert served.get("resolver", resolver="tns", name=object_id, reverse="True").json() == [row]
    named = {"i:ssnamenr": ssnamenr, "i:name": "Someone", "i:number": ssnamenr}
    assert served.get("resolver", resolver="ssodnet", name="someone", nmax=1).json() == [named]
    assert named in served.get("resolver", resolver="ssodnet", name=object_id, reverse="True").json()
    assert {each["sso_name"] for each in served.post("sso", n_or_d="Someone").json()} == {"Someone"}
    rows = served.get("resolver", resolver="simbad", name=object_id, reverse="True").json()
    assert {each["i:objectId"] for each in rows} == {object_id}
    assert served.get("resolver", resolver="simbad", name="M31").status_code == 424
    assert served.post("ssocand", kind="orbParams").json() == [{"d:ssoCandId": "FF1", "d:a": 2.5, "d:e": 0.1}]


def fill(served: Served, folder: Path, object_id: str, ssnamenr: str) -> None:
    """Fill the tables of names and orbits from files."""
    files: dict[str, dict[str, list[Any]]] = {
        "tns": {
            "fullname": ["SN 2023Q"], "internalname": [object_id], "ra": [1.0], "declination": [2.0], "type": ["SN Ia"],
            "redshift": [0.1],
        },
        "sso": {"ssnamenr": [ssnamenr], "name": ["Someone"], "number": [ssnamenr]},
        "orbits": {"ssoCandId": ["FF1"], "a": [2.5], "e": [0.1]},
    }  # fmt: skip
    for content, columns in files.items():
        pq.write_table(pa.table(columns), folder / f"{content}.parquet")
        assert load(served.archive, content, folder / f"{content}.parquet") >= 1


def test_notes_and_tables(served_archive: Served) -> None:
    served = served_archive
    note = {"d:internal_name": "Fink 1", "d:internal_name_encoded": "Fink1", "d:comments": "", "d:username": "x"}
    records.write(served.archive, records.METADATA, [("ZTF1", note)])
    assert served.get("metadata", objectId="ZTF1").json() == [{"i:objectId": "ZTF1", **note}]
    assert served.get("metadata", internal_name_encoded="Fink1").json()[0]["i:objectId"] == "ZTF1"
    assert served.post("metadata", objectId="ZTF1", internal_name="y", username="z").status_code == 403
    folder = Path(served.config.api.ssoft_folder)
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"sso_name": ["A", "B"], "sso_number": [1, 2]}), folder / "ssoft_HG_2024.01.parquet")
    answer = served.get("ssoft", flavor="HG", version="2024.01", sso_number="2")
    assert pd.read_parquet(io.BytesIO(answer.content))["sso_name"].tolist() == ["B"]
    assert served.get("ssoft", version="2024.02").status_code == 404
    assert served.get("eucliddata", pipeline="dl", dates="*").json() == []
