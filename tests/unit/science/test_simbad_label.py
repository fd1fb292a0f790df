from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.science.crossmatch.local_types import LocalTypes
from fink_broker.science.crossmatch.provider import Answer, Chain, NoProvider
from fink_broker.science.crossmatch.simbad import OBJECT_TYPE
from fink_broker.science.crossmatch.simbad_types import from_4lac_class, from_variable_type
from fink_broker.science.crossmatch.tables import SIMBAD


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("RRAB", "RRLyr"),
        ("RRAB|RRC", "RRLyr_Candidate"),
        ("EA/SD", "EB*"),
        ("E:", "EB*_Candidate"),
        ("M", "Mira"),
        ("UGSU+E", "CataclyV*"),
        ("UG", "CataclyV*"),
        ("TTS/ROT", "TTau*"),
        ("TTS:", "TTau*_Candidate"),
        ("YSO", "YSO"),
        ("SNI", "SN"),
        ("SN:", "SN*_Candidate"),
        ("DSCTr", "delSctV*"),
        ("BY:", "BYDraV*"),
        ("*", "Variable*"),
        ("CST", None),
        ("", None),
    ],
)
def test_variable_types(kind: str, label: str | None) -> None:
    assert from_variable_type(kind) == label


def test_blazar_classes() -> None:
    assert [from_4lac_class(kind) for kind in ("bll", "FSRQ ", "bcu", "")] == [
        "BLLac", "Blazar", "Blazar_Candidate", None,
    ]  # fmt: skip


class Known:
    """Knows one label for every position."""

    def __init__(self, label: str | None, failure: str | None = None) -> None:
        self.label, self.failure, self.asked = label, failure, 0

    def match(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> Answer:
        self.asked += len(ra_deg)
        table = pa.table([pa.array([self.label] * len(ra_deg), pa.string())], schema=SIMBAD.columns)
        return Answer(table, np.full(len(ra_deg), self.failure, dtype=object))


def labels(providers: list, ra: list[float], dec: list[float]) -> list[str]:
    answer = Chain(providers, SIMBAD.columns).match(np.array(ra), np.array(dec))
    return pa.array(OBJECT_TYPE.read(answer)["cdsxmatch"]).to_pylist()


@pytest.mark.parametrize(
    ("providers", "label"),
    [
        ([], "Unknown"),
        ([NoProvider(SIMBAD.columns)], "Unknown"),
        ([Known("QSO"), Known("Mira")], "QSO"),
        ([Known(None), Known("Mira")], "Unknown"),  # the first could be asked: there is nothing
        ([Known(None, "Fail 504"), Known("Mira")], "Mira"),
        ([Known(None, "Fail 504"), Known(None)], "Fail 504"),  # a catalogue that has none does not know either
        ([Known(None, "Fail"), NoProvider(SIMBAD.columns)], "Fail"),
    ],
)
def test_who_decides(providers: list, label: str) -> None:
    assert labels(providers, [10.0], [5.0]) == [label]


def test_positions_off_the_sky_are_not_asked_for() -> None:
    provider = Known("QSO")
    assert labels([provider], [np.nan, 10.0, np.inf], [1.0, 2.0, 3.0]) == ["Unknown", "QSO", "Unknown"]
    assert provider.asked == 1


def test_each_position_has_the_answer_of_the_first_that_could_say() -> None:
    class HalfOpen:
        """Fails on every other position, and knows something on the other half of the rest."""

        def match(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> Answer:
            kinds = ["QSO" if ra % 4 == 0 else None for ra in ra_deg]
            table = pa.table([pa.array(kinds, pa.string())], schema=SIMBAD.columns)
            return Answer(table, np.array(["Fail 504" if ra % 2 else None for ra in ra_deg], dtype=object))

    class OnlyFives:
        def match(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> Answer:
            kinds = ["Mira" if ra == 5 else None for ra in ra_deg]
            table = pa.table([pa.array(kinds, pa.string())], schema=SIMBAD.columns)
            return Answer(table, np.full(len(ra_deg), None, dtype=object))

    found = labels([HalfOpen(), OnlyFives()], list(map(float, range(7))), [0.0] * 7)
    assert found == ["QSO", "Fail 504", "Unknown", "Fail 504", "QSO", "Mira", "Unknown"]


def test_the_catalogues_answer_in_simbad_types() -> None:
    # GCVS: a supernova (SNI) and a Mira star (M); 3HSPJ000116.4+293534; and a place without a source
    ra = np.array([10.679583, 5.596458, 15 * (1 / 60 + 16.37 / 3600), 0.0])
    dec = np.array([41.268056, 26.996056, 29 + 35 / 60 + 34 / 3600, -85.0])
    answer = LocalTypes(SIMBAD.columns).match(ra, dec)
    assert answer.nearest["main_type"].to_pylist() == ["SN", "Mira", "BLLac", None]
    assert answer.failure.tolist() == [None] * 4
