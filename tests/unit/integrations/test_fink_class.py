"""The class of an alert: that of production, and that of the published rules."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from pathlib import Path

import fastavro
import pandas as pd
import pytest
from fink_filters.ztf.classification import extract_fink_classification_
from fink_skyportal.alerts.fink_class import EXTRAGALACTIC, fink_class

from fink_broker.simulate.retime import retime

COLUMNS = (
    "cdsxmatch", "roid", "mulens", "snn_snia_vs_nonia", "snn_sn_vs_all", "rf_snia_vs_nonia", "rf_kn_vs_nonkn",
)  # fmt: skip
FIELDS = ("ndethist", "drb", "classtar", "jd", "jdstarthist")
CANDIDATE = {"jd": 2460010.5, "jdstarthist": 2460000.5, "ndethist": 5, "drb": 0.9, "classtar": 0.9}
PLAIN = {
    "cdsxmatch": "Unknown", "roid": 0, "mulens": 0.0, "snn_snia_vs_nonia": 0.0, "snn_sn_vs_all": 0.0,
    "rf_snia_vs_nonia": 0.0, "rf_kn_vs_nonkn": 0.0, "tracklet": "",
}  # fmt: skip
SUPERNOVA = {"snn_sn_vs_all": 0.9}
YOUNG = CANDIDATE | {"jd": 2460004.5}


@pytest.fixture(scope="module")
def packets(unpacked: Callable) -> list[dict]:
    """Every third of the real alerts."""
    return [next(fastavro.reader(io.BytesIO(packet))) for packet in unpacked("ztf_public_20231018")[::3]]


@pytest.mark.parametrize(("name", "change"), [("20231018", dict), ("20231018_retimed", retime)])
def test_the_classes_are_those_of_production(packets: list[dict], shared_data: Path, name: str, change) -> None:
    expected = pd.read_parquet(shared_data / "expected" / f"science_{name}.parquet").set_index("candid")
    science = expected[list(COLUMNS)].to_dict("index")
    found = {
        packet["candid"]: fink_class({"candidate": change(packet)["candidate"], **science[packet["candid"]]})
        for packet in packets
        if packet["candid"] in science
    }
    assert found == {candid: expected["finkclass"][candid] for candid in found}
    assert len(found) > 100
    assert len(set(found.values())) > 3


def random_alert(choose: random.Random) -> dict:
    def number(*values: float) -> float:
        return choose.choice(values)

    labels = ["Unknown"] * 40 + [*sorted(EXTRAGALACTIC), "Star", "QSO", "Fail 503", "Galaxy_Candidate", "galaxy"]
    return {
        "cdsxmatch": choose.choice(labels),
        "roid": choose.choice([0, 0, 0, 1, 2, 3]),
        "mulens": number(0.0, 0.0, 0.3),
        "snn_snia_vs_nonia": number(0.0, 0.5, 0.51),
        "snn_sn_vs_all": number(0.0, 0.5, 0.9),
        "rf_snia_vs_nonia": number(0.0, 0.5, 0.9),
        "rf_kn_vs_nonkn": number(0.0, 0.5, 0.9),
        "tracklet": choose.choice(["", "", "", "TRCK_20231018_043210_00"]),
        "candidate": {
            "ndethist": choose.choice([1, 2, 19, 20, 21]),
            "drb": number(0.5, 0.9, 0.9),
            "classtar": number(0.4, 0.9, 0.9),
            "jd": number(2460000.5, 2460004.5, 2460005.5, 2460090.5, 2460091.0),
            "jdstarthist": 2460000.5,
        },
    }


def test_the_classes_are_those_of_the_published_rules() -> None:
    choose = random.Random(20231018)
    alerts = [random_alert(choose) for _ in range(3000)]
    table = pd.DataFrame([alert | alert["candidate"] for alert in alerts])
    rules = extract_fink_classification_(
        table.cdsxmatch, table.roid, table.mulens, table.snn_snia_vs_nonia, table.snn_sn_vs_all,
        table.rf_snia_vs_nonia, table.ndethist, table.drb, table.classtar, table.jd, table.jdstarthist,
        table.rf_kn_vs_nonkn, table.tracklet,
    )  # fmt: skip
    assert [fink_class(alert) for alert in alerts] == list(rules)
    words = {
        "Unknown", "Microlensing candidate", "SN candidate", "Early SN Ia candidate", "Kilonova candidate",
        "Solar System candidate", "Tracklet", "Solar System MPC", "Ambiguous", "Star",
    }  # fmt: skip
    assert words <= set(rules)


@pytest.mark.parametrize(
    ("values", "candidate", "word"),
    [
        ({}, CANDIDATE, "Unknown"),
        (SUPERNOVA, CANDIDATE, "SN candidate"),
        (SUPERNOVA | {"finkclass": "Mira"}, CANDIDATE, "Mira"),
        (SUPERNOVA | {"finkclass": ""}, CANDIDATE, "SN candidate"),
        (SUPERNOVA | {"finkclass": None}, CANDIDATE, "SN candidate"),
        ({"rf_kn_vs_nonkn": 0.9}, YOUNG, "Kilonova candidate"),
        (SUPERNOVA | {"cdsxmatch": ""}, CANDIDATE, "Unknown"),
        (SUPERNOVA | {"cdsxmatch": None}, CANDIDATE, "Unknown"),
        (SUPERNOVA | {"roid": None}, CANDIDATE, "Unknown"),
        (SUPERNOVA | {"snn_sn_vs_all": math.nan}, CANDIDATE, "Unknown"),
        (SUPERNOVA, CANDIDATE | {"drb": None}, "Unknown"),
        (SUPERNOVA, None, "Unknown"),
        ({"mulens": None, "tracklet": None}, CANDIDATE, "Unknown"),
    ],
)
def test_what_an_alert_says_itself_and_what_it_lacks(values: dict, candidate: dict | None, word: str) -> None:
    assert fink_class(PLAIN | values | {"candidate": candidate}) == word


def test_an_alert_of_another_kind() -> None:
    assert fink_class({"objectId": "a", "triggerId": 5}) == "Unknown"
