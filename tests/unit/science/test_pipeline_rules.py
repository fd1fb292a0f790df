from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.config.model import Config, ScienceConfig
from fink_broker.errors import ConfigError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import FAILED, SKIPPED, Column, Module, Needs, Outputs
from fink_broker.science.pipeline import PRODUCTION_ORDER, Pipeline
from fink_broker.science.registry import MODULES, build_pipeline, order

BOTH = ["half", "double"]
#: Anomaly models that are published nowhere.
NOT_OBTAINABLE = {"anomaly_score_emille_30days", "anomaly_score_varvara", "anomaly_score_alexanta"}


def module(name: str, needs: Needs, compute: Callable[[AlertBatch], Outputs] | None = None) -> Module:
    output = Column(name.upper(), pa.float64(), "", "", None)
    return Module(name, "1", "", needs, (output,), compute or (lambda batch: {name.upper(): np.zeros(len(batch))}))


def halves_unless_negative(batch: AlertBatch) -> Outputs:
    values = batch.numbers("x")
    if (values < 0).any():
        raise ValueError("negative")
    return {"HALF": values / 2}


def doubles(batch: AlertBatch) -> Outputs:
    return {"DOUBLE": 4 * batch.numbers("HALF")}


@pytest.fixture
def two_steps() -> Pipeline:
    return Pipeline(
        [
            module("half", Needs(candidate=("x",)), halves_unless_negative),
            module("double", Needs(outputs=("HALF",)), doubles),
        ]
    )


def batch(values: list[float]) -> pa.StructArray:
    return pa.StructArray.from_arrays([pa.array(range(len(values))), pa.array(values)], names=["candid", "x"])


def test_only_the_alerts_a_module_raises_on_are_left_without_its_columns(
    two_steps: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        result = two_steps.run(batch([1.0, -1.0, 2.0, 3.0, -2.0]))
    assert result.field("HALF").to_pylist() == [0.5, None, 1.0, 1.5, None]
    assert result.field("science_failed").to_pylist() == [[], BOTH, [], [], BOTH]
    assert result.field("DOUBLE").to_pylist() == [2.0, None, 4.0, 6.0, None]
    assert two_steps.failures == {"half": 2}
    assert len(caplog.records) == 1  # the first failure of a module is logged, later ones are counted
    assert "alert 1" in caplog.text


def test_a_module_that_gives_too_few_values_is_a_failure_not_a_shift() -> None:
    short = Pipeline([module("short", Needs(candidate=("x",)), lambda _: {"SHORT": np.zeros(0)})])
    assert short.run(batch([1.0, 2.0])).field("science_failed").to_pylist() == [["short"], ["short"]]


def test_what_was_skipped_and_what_was_not_found_are_told_apart() -> None:
    def positive_only(batch: AlertBatch) -> Outputs:
        values = batch.numbers("x")
        return {"ROOT": np.where(values > 0, values - 1, 0.0), SKIPPED: values <= 0}

    output = Column("ROOT", pa.float64(), "", "", 0.0)
    given = Module(
        "root", "3", "", Needs(candidate=("x",)), (output,), positive_only, digests=lambda: ("0123456789abcdef",)
    )
    result = Pipeline([given]).run(batch([-1.0, 1.0, 2.0]))
    assert result.field("science_skipped").to_pylist() == [["root"], [], []]
    assert result.field("science_found_nothing").to_pylist() == [[], ["root"], []]
    assert result.field("science_failed").to_pylist() == [[], [], []]
    assert result.field("science_made_with").to_pylist() == [[("root", "3 0123456789ab")]] * 3


def test_an_absent_value_of_another_type_is_an_error_at_once() -> None:
    with pytest.raises(ConfigError, match="absent value 'no' of the science column 'A' is no double"):
        Column("A", pa.float64(), "", "", "no")


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), type("PanicException", (BaseException,), {})()])
def test_an_exit_or_a_panic_of_native_code_is_a_failure_of_the_alert_it_comes_from(error: BaseException) -> None:
    def exits(batch: AlertBatch) -> Outputs:
        if (batch.numbers("x") < 0).any():
            raise error
        return {"EXITS": batch.numbers("x")}

    result = Pipeline([module("exits", Needs(candidate=("x",)), exits)]).run(batch([1.0, -1.0, 2.0]))
    assert result.field("EXITS").to_pylist() == [1.0, None, 2.0]
    assert result.field("science_failed").to_pylist() == [[], ["exits"], []]


def test_a_wrong_number_of_values_fails_the_batch_at_once() -> None:
    calls = []

    def mean(batch: AlertBatch) -> Outputs:
        calls.append(len(batch))
        return {"MEAN": np.array([batch.numbers("x").mean()])}

    result = Pipeline([module("mean", Needs(candidate=("x",)), mean)]).run(batch([1.0, 2.0, 3.0]))
    assert result.field("MEAN").to_pylist() == [None, None, None]
    assert calls == [3]


def test_a_module_that_is_slow_to_fail_does_not_hold_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fails(batch: AlertBatch) -> Outputs:
        calls.append(len(batch))
        raise OSError("time-out")

    monkeypatch.setattr("fink_broker.science.pipeline.MOST_SECONDS_OF_FAILURES", -1.0)
    result = Pipeline([module("slow", Needs(), fails)]).run(batch([1.0] * 100))
    assert result.field("science_failed").to_pylist() == [["slow"]] * 100
    assert calls == [100]


def test_a_module_fails_where_one_it_needs_raised(two_steps: Pipeline) -> None:
    seen = []

    def doubles_what_is_there(batch: AlertBatch) -> Outputs:
        seen.append(len(batch))
        return {"DOUBLE": 2 * batch.numbers("HALF"), SKIPPED: batch.numbers("HALF") > 1}

    after = module("double", Needs(outputs=("HALF",)), doubles_what_is_there)
    result = Pipeline([two_steps.modules[0], after]).run(batch([1.0, -1.0, 4.0, -3.0]))
    assert result.field("DOUBLE").to_pylist() == [1.0, None, 4.0, None]
    assert result.field("science_failed").to_pylist() == [[], ["half", "double"], [], ["half", "double"]]
    assert result.field("science_skipped").to_pylist() == [[], [], ["double"], []]
    assert seen == [2]


def test_what_a_module_says_it_could_not_do_is_a_failure_and_its_value_stays() -> None:
    def asks(batch: AlertBatch) -> Outputs:
        return {"ASKS": np.zeros(len(batch)), FAILED: batch.numbers("x") > 1}

    result = Pipeline([module("asks", Needs(candidate=("x",)), asks)]).run(batch([1.0, 2.0]))
    assert result.field("ASKS").to_pylist() == [0.0, 0.0]
    assert result.field("science_failed").to_pylist() == [[], ["asks"]]


def test_digests_that_cannot_be_told_stop_nothing() -> None:
    def digests() -> tuple[str, ...]:
        raise OSError("gone")

    zeros = replace(module("zeros", Needs(), lambda batch: {"ZEROS": np.zeros(len(batch))}), digests=digests)
    result = Pipeline([zeros]).run(batch([1.0]))
    assert result.field("science_made_with").to_pylist() == [[("zeros", "1 ?")]]


@pytest.mark.parametrize(
    ("kind", "absent", "other"),
    [
        (pa.list_(pa.int32()), [], [1]),
        (pa.struct([("a", pa.float64())]), {"a": 0.0}, {"a": 1.0}),
        (pa.map_(pa.string(), pa.float64()), {"a": -1.0}, [("a", 1.0)]),
        (pa.string(), "no", "yes"),
        (pa.float64(), None, 1.0),
    ],
)
def test_nothing_to_say_in_any_type(kind: pa.DataType, absent: object, other: object) -> None:
    entry = list(absent.items()) if isinstance(absent, dict) and pa.types.is_map(kind) else absent
    column = Column("N", kind, "", "", absent)
    given = Module("n", "1", "", Needs(), (column,), lambda _: {"N": pa.array([entry, other, None], kind)})
    result = Pipeline([given]).run(batch([1.0, 2.0, 3.0]))
    assert result.field("science_found_nothing").to_pylist() == [["n"], [], ["n"]]


def test_modules_run_after_those_they_need() -> None:
    late = module("late", Needs(outputs=("EARLY",)))
    early = module("early", Needs())
    assert [m.name for m in order([late, early])] == ["early", "late"]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([module("a", Needs(outputs=("B",))), module("b", Needs(outputs=("A",)))], "circle"),
        ([module("a", Needs(outputs=("B",)))], "needs the column 'B'"),
        ([module("a", Needs()), module("a", Needs())], "called 'a'"),
    ],
)
def test_modules_that_cannot_be_ordered(modules: list[Module], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        order(modules)


def test_an_unknown_module_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'supernova'.*Known are crossmatch, .*supernnova"):
        build_pipeline(Config(science=ScienceConfig(modules=["supernova"])))


def test_a_missing_module_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs the column 'cdsxmatch'.*Add 'cdsxmatch'"):
        build_pipeline(Config(science=ScienceConfig(modules=["supernnova", "asteroids"])))


def test_columns_come_in_the_order_and_types_of_production(pipeline: Pipeline) -> None:
    kinds = {field.name: str(field.type) for field in pipeline.output_type}
    assert [name for name in kinds if name in PRODUCTION_ORDER] == [
        name for name in PRODUCTION_ORDER if name not in NOT_OBTAINABLE
    ]
    outcomes = ["science_failed", "science_skipped", "science_found_nothing", "science_made_with"]
    own = ["elephant_kstest_science", "elephant_kstest_template", "finkclass"]
    assert sorted(set(kinds) - set(PRODUCTION_ORDER)) == sorted([*own, *outcomes])
    assert list(kinds)[-4:] == outcomes
    wanted = {
        "int32": ["roid", "nalerthist", "gaiaVarFlag", "spicy_id"],
        "float": ["Plx", "e_Plx"],
        "double": ["rf_snia_vs_nonia", "snn_sn_vs_all", "mulens", "rf_kn_vs_nonkn", "anomaly_score", "mag_rate"],
        "bool": ["from_upper", "is_transient"],
        "map<string, string>": ["mangrove"],
        "map<string, float>": ["blazar_stats"],
        "string": ["cdsxmatch", "DR3Name", "gaiaClass", "spicy_class", "finkclass"],
    }
    for kind, names in wanted.items():
        assert {kinds[name] for name in names} == {kind}
    assert kinds["lc_features_g"].count("double") == 26


def test_the_order_in_the_configuration_does_not_matter(pipeline: Pipeline) -> None:
    shuffled = build_pipeline(Config(science=ScienceConfig(modules=["supernnova", "nalerthist", *reversed(MODULES)])))
    assert set(shuffled.output_names) == set(pipeline.output_names)
    names = [m.name for m in shuffled.modules]
    for module in shuffled.modules:
        givers = [m.name for m in shuffled.modules if {c.name for c in m.outputs} & set(module.needs.outputs)]
        assert all(names.index(giver) < names.index(module.name) for giver in givers)


def test_each_module_reads_only_what_it_declares(pipeline: Pipeline, decoded: Callable, batch_of: Callable) -> None:
    everything = AlertBatch.from_struct(batch_of(decoded("ztf_public_20231018")[:40]))
    for each in pipeline.modules:
        needs = each.needs
        allowed = {*needs.root, *needs.candidate, *needs.history, *needs.outputs, *(f"prv_{n}" for n in needs.history)}
        allowed |= {f"cutout{name}" for name in needs.cutouts}
        part = AlertBatch({name: everything.columns[name] for name in allowed}, len(everything))
        with np.errstate(all="ignore"):
            given = each.compute(part)
        everything = everything.with_columns({c.name: pa.array(given[c.name]).cast(c.type) for c in each.outputs})


def test_a_worker_gets_the_pipeline_by_its_configuration() -> None:
    config = pickle.loads(pickle.dumps(Config()))  # noqa: S301 - our own bytes
    assert build_pipeline(config).output_type == build_pipeline(Config()).output_type
