"""Functions in the style of fink-science, and modules of the user's own."""

from __future__ import annotations

import sys
import warnings
from functools import partial
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
from fink_broker.science.adapter import Literal, module_from_udf
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline, order
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


def scaled(distnr: pd.Series, factor: pd.Series) -> pd.Series:
    distnr *= factor  # such functions may write into what they get
    return distnr


def adapted(function: object, arguments: list, output: Column | list[Column]) -> list[dict]:
    module = module_from_udf(function, arguments, output, name="adapted")(Config())  # type: ignore[arg-type]
    pipeline = Pipeline(order([module]))
    found = pipeline.run(batch_of(pipeline, [ordinary_alert(1), ordinary_alert(2)])).to_pylist()
    assert [row["science_failed"] for row in found] == [[], []]
    return found


def test_an_argument_can_be_a_literal_or_bound_beforehand() -> None:
    column = Column("scaled", pa.float64(), "", "", None)
    assert adapted(scaled, ["candidate.distnr", Literal(5.0)], column)[1]["scaled"] == 5.0
    assert adapted(partial(scaled, factor=7.0), ["candidate.distnr"], column)[1]["scaled"] == 7.0


def test_a_function_that_gives_a_data_frame_gives_several_columns_or_one_of_structs() -> None:
    def both(distnr: pd.Series) -> pd.DataFrame:
        return pd.DataFrame({"near": distnr < 2, "half": distnr / 2})

    columns = [Column("half", pa.float64(), "", "", None), Column("near", pa.bool_(), "", "", None)]
    row = adapted(both, ["candidate.distnr"], columns)[0]
    assert (row["half"], row["near"]) == (0.5, True)
    kind = pa.struct([("near", pa.bool_()), ("half", pa.float64())])
    row = adapted(both, ["candidate.distnr"], Column("both", kind, "", "", None))[0]
    assert row["both"] == {"near": True, "half": 0.5}


def test_one_value_for_a_whole_batch_is_a_failure() -> None:
    def mean(distnr: pd.Series) -> float:
        return float(distnr.mean())

    build = module_from_udf(mean, ["candidate.distnr"], Column("mean", pa.float64(), "", "", None), name="mean")
    pipeline = Pipeline([build(Config())])
    found = pipeline.run(batch_of(pipeline, [ordinary_alert(1), ordinary_alert(2)]))
    assert found.field("science_failed").to_pylist() == [["mean"], ["mean"]]


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


def test_the_checks_for_authors_find_a_module_that_takes_the_mean_of_its_batch() -> None:
    with pytest.raises(AssertionError, match="raised or warned on hostile light curves: rank"):
        check_module(module_of(lambda batch: {"rank": np.array([np.nanmean(batch.curves.last("magpsf"))])}))


@pytest.mark.parametrize("name", ["is_detection", "owner", "offsets", "detections"])
def test_a_module_cannot_change_what_others_see(name: str) -> None:
    def spoils(batch: AlertBatch) -> dict[str, np.ndarray]:
        getattr(batch.curves, name)[:] = 0
        return {"rank": np.zeros(len(batch))}

    pipeline = Pipeline(
        [module_of(spoils), *build_pipeline(Config(science=ScienceConfig(modules=["nalerthist"]))).modules]
    )
    found = pipeline.run(batch_of(pipeline, [ordinary_alert(1, points=6)]))
    assert found.field("nalerthist").to_pylist() == [7]
    assert found.field("science_failed").to_pylist() == [["rank"]]


def test_a_module_cannot_put_other_columns_in_the_place_of_fields() -> None:
    def spoils(batch: AlertBatch) -> dict[str, np.ndarray]:
        batch.columns["magpsf"] = pa.nulls(len(batch))  # type: ignore[index]
        return {"rank": np.zeros(len(batch))}

    pipeline = Pipeline([module_of(spoils)])
    found = pipeline.run(batch_of(pipeline, [ordinary_alert(1)]))
    assert found.field("science_failed").to_pylist() == [["rank"]]


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
        "def known(config): return named('Roid')\n"
        "def field(config): return named('drb')\n"
        "def image(config): return named('cutoutSum')\n"
        "def misspelt(config): return Module('own', '1', '', Needs(candidate=('magpfs',)), (), None)\n"
        "def odd_type(config): return Column('x', pa.uint64(), '', '', None)\n"
        "def odd_version(config): return Module('own', 2, '', Needs(), (), None)\n"
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
        ("own_science:known", "give 'Roid'"),
        ("own_science:field", "column 'drb', which alerts have already"),
        ("own_science:image", "column 'cutoutSum', which alerts have already"),
        ("own_science:misspelt", r"reads 'magpfs' \(candidate\), which alerts do not have. Did you mean magpsf"),
        ("own_science:odd_type", "of the type uint64, which tables and messages do not hold"),
        ("own_science:odd_version", "version of the science module 'own' is no text"),
        ("own_science", "no installed package announces"),
    ],
)
def test_a_module_that_cannot_join_is_told_in_one_sentence(own_package: None, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_pipeline(config_with(name))
