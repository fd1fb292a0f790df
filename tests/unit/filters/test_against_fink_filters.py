"""The broker's topics beside the functions of fink-filters 7.45 they replace, on the same alerts.

All 21 functions run as they are. Three things that they import stand in for the real ones:

* ``astroquery.sdss``: the survey is not asked, and answers nothing;
* ``line_profiler``: only measures;
* the two modules of ``fink_science.ztf.hostless_detection`` that score images: importing them fails, since the wheel
  lacks their settings, and their scores are drawn anew in each run. The stand-in gives the scores of the table, so that
  all the rest of the three functions is compared.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from built_in_topics import topic
from expected_topics import COUNTS, SETS, science_table

from fink_broker.config import Config
from fink_broker.filters.view import AlertView
from fink_broker.science import finkclass
from fink_broker.science.batch import AlertBatch

pytestmark = pytest.mark.filterwarnings("ignore")
TOPICS = sorted(COUNTS)
LABELS = ("Unknown", "Unknown", "Unknown", "Transient", "Galaxy", "Seyfert_1", "Star", "Fail", "Fail 504", "Fail 500")


class _HostLess:
    def __init__(self, _settings: Any) -> None:
        pass

    @staticmethod
    def process_candidate_fink(science: float, template: float) -> tuple[float, float]:
        return science, template


class _NoAnswer:
    asked = 0

    @classmethod
    def query_region(cls, *_args: Any, **_named: Any) -> None:
        cls.asked += 1


def stand_ins() -> dict[str, ModuleType]:
    hostless = "fink_science.ztf.hostless_detection"
    contents: dict[str, dict[str, Any]] = {
        "astroquery": {},
        "astroquery.sdss": {"SDSS": _NoAnswer},
        "line_profiler": {"profile": lambda function: function},
        f"{hostless}.run_pipeline": {"HostLessExtragalactic": _HostLess},
        f"{hostless}.pipeline_utils": {"load_json": lambda _path: {}},
    }
    modules = {}
    for name, content in contents.items():
        modules[name] = ModuleType(name)
        modules[name].__dict__.update(content)
    return modules


@pytest.fixture(scope="module")
def theirs() -> Iterator[dict[str, Callable[..., pd.Series]]]:
    """The plain functions of fink-filters by topic; nothing is sent: no token, no address is in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_ins().items():
            patch.setitem(sys.modules, name, module)
        for name in ("FINK_TG_TOKEN", "KNWEBHOOK", "KNWEBHOOK_FINK", "KNWEBHOOK_AMA_CL", "KNWEBHOOK_AMA_RATE"):
            patch.delenv(name, raising=False)
        patch.setattr("requests.post", lambda *_args, **_named: pytest.fail("a filter sent something"))
        before = set(sys.modules)
        yield {name: _plain(name) for name in TOPICS}
        for name in set(sys.modules) - before:
            if name.split(".")[0] in ("fink_filters", "fink_science", "fink_utils"):
                del sys.modules[name]


def _plain(name: str) -> Callable[..., pd.Series]:
    function = getattr(importlib.import_module(f"fink_filters.ztf.livestream.filter_{name}.filter"), name)
    return getattr(function, "func", function)


@pytest.fixture(scope="module")
def tables(shared_data: Path, unpacked: Callable[..., list[bytes]]) -> dict[str, pa.Table]:
    """The three sets of real alerts, and one made of them in which every topic has some."""
    tables = {which: science_table(shared_data, unpacked, which) for which in SETS}
    return tables | {"made": made(tables["20231018_labels"])}


def made(table: pa.Table) -> pa.Table:
    """Return alerts of invented times, brightness, scores and labels, twice the real ones."""
    rng = np.random.default_rng(20231018)
    rows = table.to_pylist() + table.to_pylist()
    for number, row in enumerate(rows):
        now, past = row["candidate"], row["prv_candidates"] or []
        last = now["jd"] - rng.choice([0.05, 0.3, 1.0])
        for back, point in enumerate(reversed(past)):
            point["jd"] = last - back * rng.choice([0.1, 0.7])
            if point["magpsf"] is not None:
                point["magpsf"] += rng.normal(0, 0.3)
                point["fid"] = int(rng.choice([1, 2, now["fid"], now["fid"]]))
                point["isdiffpos"] = str(rng.choice(["t", "t", "t", "f", "1", "0"]))
        now |= {
            "drb": rng.choice([0.3, 0.7, 0.95, 0.99]), "classtar": rng.choice([0.2, 0.9, 0.99]),
            "ndethist": int(rng.choice([1, 2, 3, 10, 25])), "distnr": rng.choice([0.5, 1.5, 3.0, 9.0]),
            "jdstarthist": now["jd"] - rng.choice([0.0, 0.1, 3.0, 29.0, 59.0, 61.0, 89.0, 91.0]),
            "ssdistnr": rng.choice([-999.0, 3.0, 12.0]), "isdiffpos": str(rng.choice(["t", "t", "t", "1", "f"])),
        }  # fmt: skip
        row |= {
            "elephant_kstest_science": rng.choice([-99.0, -1.0, 0.0, 0.3, 0.5, 0.6]),
            "elephant_kstest_template": rng.choice([-99.0, 0.0, 0.5, 0.85, 0.9]),
            "roid": int(rng.choice([0, 0, 0, 0, 1, 2, 3])), "tns": str(rng.choice(["", "SN Ia"])),
            "rf_kn_vs_nonkn": rng.choice([0.0, 0.4, 0.9]), "rf_snia_vs_nonia": rng.choice([0.0, 0.4, 0.9]),
            "snn_snia_vs_nonia": rng.choice([0.0, 0.5, 0.9]), "snn_sn_vs_all": rng.choice([0.0, 0.5, 0.9]),
            "mulens": rng.choice([0.0, 0.0, 0.6]),
        }  # fmt: skip
        if number % 4 == 2:  # young sources that fade or brighten, for the rarest of topics
            now |= {"drb": 0.99, "classtar": 0.9, "ndethist": 3, "isdiffpos": "t", "jdstarthist": now["jd"] - 1.0}
            now["ssdistnr"], row["cdsxmatch"] = -999.0, "Unknown"
            rate = rng.choice([-0.3, 0.2, 0.5, 1.0])
            for point in past:
                if point["magpsf"] is not None:
                    point["magpsf"] = now["magpsf"] - rate * (now["jd"] - point["jd"]) + rng.normal(0, 0.05)
                    point["magnr"], point["isdiffpos"] = 22.0, "t"
        if number % 2:
            row |= {"cdsxmatch": str(rng.choice(LABELS)), "DR3Name": str(rng.choice(["nan", "Gaia DR3 1"]))}
        if number % 8 == 1:  # and some that no catalogue knows
            now |= {"ndethist": int(rng.choice([1, 2, 3])), "distnr": 3.0}
            row |= {"cdsxmatch": "Unknown", "DR3Name": "nan", "roid": 0}
            row |= {"elephant_kstest_science": rng.choice([0.0, 0.5]), "elephant_kstest_template": 0.85}
        detected = [point for point in past if point["magpsf"] is not None and point["fid"] == now["fid"]]
        if not detected:  # never scored, and fink-filters fails on a score
            row["rf_kn_vs_nonkn"] = 0.0
    return _classified(pa.Table.from_pylist(rows, table.schema))


def _classified(table: pa.Table) -> pa.Table:
    """Return alerts with the class that follows from their scores."""
    module = finkclass.build(Config())
    columns = {name: table[name].combine_chunks() for name in module.needs.outputs}
    columns |= {name: pc.struct_field(table["candidate"], name).combine_chunks() for name in module.needs.candidate}
    found = module.compute(AlertBatch(columns, len(table)))["finkclass"]
    return table.set_column(table.column_names.index("finkclass"), "finkclass", found)


class Arguments:
    """What fink-filters functions get of a table, by the names of their arguments."""

    def __init__(self, table: pa.Table) -> None:
        self.view = AlertView(table)

    def __getitem__(self, name: str) -> pd.Series | pd.DataFrame:
        table = self.view.table
        if name in ("cutoutScience", "cutoutTemplate"):
            return pd.DataFrame(
                {"stampData": self.view.numbers(f"elephant_kstest_{name.removeprefix('cutout').lower()}")}
            )
        if name == "cstampDatac":
            return pd.Series([None] * len(table))
        if name == "linear_fit_slope":
            return pd.Series(self.view.numbers("lc_features_r.linear_fit_slope"))
        if name.startswith("c") and name.endswith("c") and name[1:-1] in table.schema.field("candidate").type.names:
            return self._history_and_now(name[1:-1])
        path = name if name in table.column_names else f"candidate.{name}"
        kind = AlertView.type_of(table.schema, path)
        if pa.types.is_string(kind):
            return pd.Series(self.view.column(path).to_pylist(), dtype=object)
        numbers = self.view.numbers(path)
        return pd.Series(numbers.astype(int) if pa.types.is_integer(kind) else numbers)

    def _history_and_now(self, field: str) -> pd.Series:
        now = pc.struct_field(self.view.table["candidate"], field).to_pylist()
        past = self.view.table["prv_candidates"].to_pylist()
        joined = [[*(point[field] for point in points or []), value] for points, value in zip(past, now, strict=True)]
        kind = object if field == "isdiffpos" else float
        return pd.Series([np.array(values, dtype=kind) for values in joined])


def called(function: Callable[..., pd.Series], table: pa.Table) -> np.ndarray:
    """Return what a function of fink-filters says of 558 alerts at a time.

    The made alerts hold each position twice: given both, magnetic_cvs takes one of them only.
    """
    decisions = []
    for start in range(0, len(table), 558):
        arguments = Arguments(table.slice(start, 558).combine_chunks())
        passed = function(*(arguments[argument] for argument in inspect.signature(function).parameters))
        decisions.append(np.asarray(passed).astype(bool))
    return np.concatenate(decisions)


@pytest.mark.parametrize("name", TOPICS)
def test_both_decide_alike(name: str, theirs: dict[str, Callable], tables: dict[str, pa.Table]) -> None:
    function, rule = theirs[name], topic(name).rule
    for which, table in tables.items():
        wanted, found = called(function, table), rule.decide(AlertView(table))
        assert found.dtype == bool
        differs = np.flatnonzero(found != wanted)
        assert not differs.size, f"{which}: {len(differs)} of {len(table)} differ, rows {differs[:5]}"
        if which == "made":
            assert 0 < found.sum() < len(table), f"the made alerts say nothing of {name}"


def test_the_survey_would_have_been_asked(theirs: dict[str, Callable], tables: dict[str, pa.Table]) -> None:
    before = _NoAnswer.asked
    called(theirs["early_kn_candidates"], tables["20231018_labels"])
    assert _NoAnswer.asked > before
