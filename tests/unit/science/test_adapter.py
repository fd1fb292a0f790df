"""Functions in the style of fink-science, and modules of the user's own."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import DoubleType

from fink_broker.config.model import Config, ScienceConfig
from fink_broker.errors import ConfigError
from fink_broker.science import user
from fink_broker.science.adapter import module_from_udf
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline
from fink_broker.science.testing import batch_of, check_module, hostile_light_curves, ordinary_alert


@pandas_udf(DoubleType())
def span(
    cjd: pd.Series, cisdiffpos: pd.Series, ndethist: pd.Series, object_id: pd.Series, roid: pd.Series
) -> pd.Series:
    assert len(cjd) == len(cisdiffpos) == len(ndethist) == len(object_id) == len(roid)
    assert object_id.str.startswith("ZTF").all()
    positive = cisdiffpos.apply(lambda signs: float(np.mean(signs == "t")))
    return (cjd.apply(lambda times: times.max() - times.min()) + ndethist) * positive


BUILD = module_from_udf(
    span,
    ["cjd", "cisdiffpos", "candidate.ndethist", "objectId", "roid"],
    Column("span", pa.float64(), "day", "days and detections", None),
    name="span",
)


def test_light_curves_fields_and_other_columns_arrive_as_series() -> None:
    module = BUILD(Config())
    assert module.needs == Needs(
        candidate=("ndethist",), history=("jd", "isdiffpos"), root=("objectId",), outputs=("roid",)
    )
    config = Config(science=ScienceConfig(modules=["asteroids"]))
    pipeline = Pipeline([*build_pipeline(config).modules, module])
    alerts = [ordinary_alert(1, points=12), ordinary_alert(2, points=5), ordinary_alert(3, points=0)]
    found = pipeline.run(batch_of(pipeline, alerts))
    assert found.field("science_failed").to_pylist() == [[], [], []]
    assert found.field("span").to_pylist() == pytest.approx([12 * 1.02 + 13, 5 * 1.02 + 6, 1.0])


def test_a_function_that_raises_on_an_alert_leaves_the_others_alone() -> None:
    def picky(cmagpsf: pd.Series) -> pd.Series:
        if any(len(magnitudes) == 1 for magnitudes in cmagpsf):
            raise ValueError("too short")
        return cmagpsf.apply(len)

    build = module_from_udf(picky, ["cmagpsf"], Column("points", pa.int32(), "", "", None), name="picky")
    pipeline = Pipeline([build(Config())])
    found = pipeline.run(batch_of(pipeline, [ordinary_alert(1), ordinary_alert(2, points=0), ordinary_alert(3)]))
    assert found.field("points").to_pylist() == [13, None, 13]
    assert found.field("science_failed").to_pylist() == [[], ["picky"], []]


def module_of(compute: object) -> Module:
    column = Column("rank", pa.float64(), "", "", None)
    return Module("rank", "1", "", Needs(history=("magpsf",)), (column,), compute)  # type: ignore[arg-type]


def test_the_checks_for_authors_pass_a_module_that_keeps_the_rules() -> None:
    check_module(module_of(lambda batch: {"rank": batch.curves.last("magpsf")}))


def test_the_checks_for_authors_find_a_module_that_looks_at_other_alerts() -> None:
    with pytest.raises(AssertionError, match="differ in: rank"):
        check_module(module_of(lambda batch: {"rank": np.arange(len(batch), dtype=float)}))


def test_the_checks_for_authors_find_a_module_that_warns_on_odd_numbers() -> None:
    def loud(batch: AlertBatch) -> dict[str, np.ndarray]:
        magnitudes = batch.curves.last("magpsf")
        if np.isinf(magnitudes).any():
            warnings.warn("infinite", stacklevel=1)
        return {"rank": magnitudes}

    with pytest.raises(AssertionError, match="raised or warned on hostile light curves: rank"):
        check_module(module_of(loud))


def test_numbers_that_overflow_are_no_warning() -> None:
    check_module(module_of(lambda batch: {"rank": np.exp(batch.curves.last("magpsf"))}))


def test_there_are_many_hostile_light_curves() -> None:
    alerts = hostile_light_curves()
    assert len(alerts) > 90
    assert len({alert["candid"] for alert in alerts.values()}) == len(alerts)


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_science.py").write_text(
        "import numpy as np, pyarrow as pa\n"
        "from fink_broker.science.module import Column, Module, Needs\n"
        "def named(name):\n"
        "    return Module('own', '1', '', Needs(candidate=('ra',)), (Column(name, pa.float64(), '', '', None),),\n"
        "                  lambda batch: {name: np.zeros(len(batch))})\n"
        "def build(config): return named('own')\n"
        "def hides(config): return named('Candidate')\n"
        "def known(config): return named('roid')\n"
        "def nothing(config): return 5\n"
        "def broken(config): raise KeyError('x')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_science", None)


def config_with(*names: str) -> Config:
    return Config(science=ScienceConfig(modules=["asteroids"], user_modules=list(names)))


def test_a_module_of_ones_own_joins_by_its_place(own_package: None) -> None:
    assert [module.name for module in build_pipeline(config_with("own_science:build")).modules] == ["asteroids", "own"]


def test_a_module_of_ones_own_joins_by_its_entry_point(own_package: None, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "own_science:build", user.GROUP)
    monkeypatch.setattr(user, "entry_points", lambda group: [entry] if group == user.GROUP else [])
    assert build_pipeline(config_with("mine")).modules[-1].name == "own"
    with pytest.raises(ConfigError, match=r"'other', which no installed package announces.*mine"):
        build_pipeline(config_with("other"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_science:missing", "cannot be imported: AttributeError"),
        ("no_such_package:build", "cannot be imported: ModuleNotFoundError"),
        ("own_science:nothing", "gave a int instead of a Module"),
        ("own_science:broken", "cannot be made: KeyError"),
        ("own_science:hides", "column 'Candidate', which alerts have already"),
        ("own_science:known", "give 'roid'"),
        ("own_science", "no installed package announces"),
    ],
)
def test_a_module_that_cannot_join_is_told_in_one_sentence(own_package: None, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_pipeline(config_with(name))
