"""The engine: every filter judges for itself, and who fails too often is switched off."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.errors import ConfigError
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.rule import Function, Rule
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.users.switches import Switches
from fink_broker.filters.verdict import Verdict
from fink_broker.filters.view import AlertView

HERE = str(Path(__file__).parent)
LENGTH = 100


def alerts(length: int = LENGTH) -> pa.Table:
    kind = pa.struct([("magpsf", pa.float32())])
    return pa.table(
        {
            "candid": pa.array(range(length)),
            "candidate": pa.array([{"magpsf": 15 + k / 20} for k in range(length)], kind),
        }
    )


def entry(name: str, rule: Rule, *, built_in: bool = False, version: str = "1") -> Filter:
    return Filter(name, rule, "a filter", "", version, owner="me", built_in=built_in)


def vectorised(decide: Callable[[AlertView], np.ndarray], text: str = "text") -> Function:
    return Function(decide, ("candidate.magpsf",), text)  # type: ignore[arg-type]


def python(name: str) -> Filter:
    return entry(f"my_{name}", UserFunction(f"hostile_functions:{name}", HERE))


def by_name(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {verdict.filter.name: verdict for verdict in verdicts}


def raising(view: AlertView) -> np.ndarray:
    raise ValueError("no way")


BRIGHT = vectorised(lambda view: view.numbers("candidate.magpsf") < 18)
EXPECTED = np.asarray(alerts()["candidate"].combine_chunks().field("magpsf")) < 18


def test_verdicts_come_in_the_order_of_the_filters_whoever_they_are_of() -> None:
    filters = [python("bright"), entry("ours", BRIGHT, built_in=True), python("raises"), entry("sql_like", BRIGHT)]
    with Engine(filters) as engine:
        assert set(engine.reads) >= {"candidate.magpsf"}
        verdicts = engine.judge(alerts())
    assert [verdict.filter for verdict in verdicts] == filters
    for number in (0, 1, 3):
        assert verdicts[number].passed.tolist() == EXPECTED.tolist()
        assert not verdicts[number].failed.any()
        assert verdicts[number].seconds > 0
    assert verdicts[2].failed.all()
    assert "no way" in verdicts[2].error


def test_trusted_verdicts_do_not_wait_for_a_function_that_sleeps() -> None:
    filters = [python("sleeps"), python("bright"), entry("ours", BRIGHT, built_in=True)]
    with Engine(filters, function_seconds=1.0) as engine:
        engine.fit(alerts().schema)
        started = time.monotonic()
        judgement = engine.begin(alerts())
        assert time.monotonic() - started < 1.0
        assert [verdict.filter.name for verdict in judgement.trusted] == ["ours"]
        found = by_name(judgement.all())
        assert found["my_sleeps"].failed.all()
        assert found["my_bright"].passed.tolist() == EXPECTED.tolist()  # it goes on without the one that sleeps
        assert list(engine.off) == ["my_sleeps"]
        assert "more than 1 s on a batch, 1." in engine.off["my_sleeps"]
        found = by_name(engine.judge(alerts()))
        assert "my_sleeps" not in found
        assert found["my_bright"].passed.tolist() == EXPECTED.tolist()


def slow_functions(folder: Path, *seconds: float) -> list[Filter]:
    source = "import time\n" + "".join(
        f"def f{k}(magpsf):\n    time.sleep({asleep})\n    return magpsf < 18\n" for k, asleep in enumerate(seconds)
    )
    (folder / "slow_functions.py").write_text(source)
    return [entry(f"f{k}", UserFunction(f"slow_functions:f{k}", str(folder))) for k in range(len(seconds))]


def test_all_users_functions_together_have_one_budget(tmp_path: Path) -> None:
    filters = slow_functions(tmp_path, 0.1, 0.9, 0.7, 0.0)
    with Engine(filters, function_seconds=1.2, failures=1) as engine:
        engine.fit(alerts().schema)
        started = time.monotonic()
        found = by_name(engine.judge(alerts(10)))
        assert time.monotonic() - started < 5.0
        assert not found["f1"].failed.any()  # it has answered, but took most of the time
        assert "more than 1.2 s on a batch, 0.9 s of it" in engine.off["f1"]
        assert not found["f2"].failed.any()  # another used up the time: it is asked again
        assert not found["f3"].failed.any()
        assert list(engine.off) == ["f1"]
        found = by_name(engine.judge(alerts(10)))
        assert list(found) == ["f0", "f2", "f3"]
        assert not any(verdict.failed.any() for verdict in found.values())


def test_a_function_that_takes_more_than_its_share_again_and_again_is_switched_off(tmp_path: Path) -> None:
    with Engine(slow_functions(tmp_path, 0.4, 0.0), function_seconds=5.0) as engine:
        for length in (10, 10, 100, 10, 10):  # 0.4 s are fair for 100 alerts
            assert not by_name(engine.judge(alerts(length)))["f0"].failed.any()
            assert engine.off == {}
        engine.judge(alerts(10))
        assert list(engine.off) == ["f0"]
        assert "more than 0.3 s on 10 alerts, 3 batches in a row" in engine.off["f0"]


def hanging(folder: Path) -> Filter:
    (folder / "hangs_on_import.py").write_text("import time\ntime.sleep(1000)\ndef f(magpsf): return magpsf < 18\n")
    return entry("hangs", UserFunction("hangs_on_import:f", str(folder)))


def test_an_import_that_hangs_keeps_nobody_waiting_for_ever(tmp_path: Path) -> None:
    with Engine([hanging(tmp_path), python("bright"), entry("ours", BRIGHT)], import_seconds=4.0) as engine:
        started = time.monotonic()
        found = by_name(engine.judge(alerts()))
        assert time.monotonic() - started < 8.0
        assert found["ours"].passed.tolist() == EXPECTED.tolist()
        while not engine.ready:
            time.sleep(0.05)
        assert "its import takes too long" in engine.off["hangs"]
        found = by_name(engine.judge(alerts()))
        assert found["my_bright"].passed.tolist() == EXPECTED.tolist()


def test_alerts_that_come_before_users_functions_are_loaded_fail_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fink_broker.filters.engine.GRACE_SECONDS", -20.0)  # as if the process did not start in time
    with Engine([hanging(tmp_path), python("bright"), entry("ours", BRIGHT)], import_seconds=4.0) as engine:
        started = time.monotonic()
        found = by_name(engine.judge(alerts()))
        assert time.monotonic() - started < 3.0
        assert found["ours"].passed.tolist() == EXPECTED.tolist()
        for name in ("hangs", "my_bright"):
            assert found[name].failed.all()
            assert "not loaded yet" in found[name].error
        assert engine.off == {}
        while not engine.ready:
            time.sleep(0.05)
        assert by_name(engine.judge(alerts()))["my_bright"].passed.tolist() == EXPECTED.tolist()


def test_closing_does_not_wait_for_an_import_and_blames_nobody(tmp_path: Path) -> None:
    switches = Switches()
    engine = Engine([hanging(tmp_path), python("bright")], switches, import_seconds=60.0)
    time.sleep(1.5)
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 20
    assert engine.ready
    assert engine.off == {}


def test_a_filter_is_switched_off_after_failed_batches_in_a_row() -> None:
    mood = [True, True, False, True, True, True]

    def moody(view: AlertView) -> np.ndarray:
        if mood[0]:
            raise ValueError("a bad day")
        return np.ones(len(view), dtype=bool)

    filters = [entry("moody", vectorised(moody)), entry("ours", vectorised(raising), built_in=True)]
    with Engine(filters, failures=3) as engine:
        for day in range(len(mood)):
            assert "moody" not in engine.off, f"switched off too early, on day {day}"
            engine.judge(alerts())
            mood.pop(0) if len(mood) > 1 else None
        assert "3 batches in a row failed, the last: ValueError: a bad day" in engine.off["moody"]
        assert list(by_name(engine.judge(alerts()))) == ["ours"]  # the broker's own never is


def test_one_poisonous_alert_is_one_failure_and_switches_nothing_off() -> None:
    def picky(view: AlertView) -> np.ndarray:
        if 42 in view.column("candid").to_pylist():
            raise ValueError("not that one")
        return view.numbers("candidate.magpsf") < 18

    filters = [entry("picky", vectorised(picky)), entry("ours", vectorised(picky), built_in=True)]
    with Engine(filters, failures=1) as engine:
        for verdict in engine.judge(alerts()):
            assert np.flatnonzero(verdict.failed).tolist() == [42]
            assert verdict.passed.tolist() == (EXPECTED & ~verdict.failed).tolist()
        assert engine.off == {}


@pytest.mark.parametrize(
    "answer", [np.ones(3, dtype=bool), np.ones(LENGTH), None, np.ones((LENGTH, 1), dtype=bool), ["yes"] * LENGTH]
)
def test_an_answer_of_another_shape_is_a_failure(answer: object) -> None:
    wrong = entry("wrong", vectorised(lambda view: answer))  # type: ignore[arg-type,return-value]
    with Engine([wrong, entry("ours", BRIGHT, built_in=True)]) as engine:
        found = by_name(engine.judge(alerts()))
    assert found["wrong"].failed.all()
    assert found["wrong"].error
    assert found["ours"].passed.tolist() == EXPECTED.tolist()


def test_a_filter_that_takes_too_long_is_switched_off() -> None:
    def slow(view: AlertView) -> np.ndarray:
        time.sleep(0.2)
        return np.zeros(len(view), dtype=bool)

    with Engine([entry("slow", vectorised(slow))], function_seconds=0.1) as engine:
        assert engine.judge(alerts(10))[0].error == ""
        assert "more than 0.1 s" in engine.off["slow"]


def test_a_rule_that_would_take_too_long_is_switched_off_before_it_does() -> None:
    seen: list[int] = []

    def slow(view: AlertView) -> np.ndarray:
        seen.append(len(view))
        time.sleep(0.01 * len(view))
        return np.zeros(len(view), dtype=bool)

    filters = [entry("slow", vectorised(slow)), entry("ours", vectorised(slow), built_in=True)]
    with Engine(filters, function_seconds=0.5) as engine:
        found = by_name(engine.judge(alerts()))
        assert found["slow"].failed.all()
        assert re.search(r"it would take 1\.\d s on a batch of 100 alerts, more than 0\.5 s", engine.off["slow"])
        assert seen.count(LENGTH) == 1  # the broker's own rule is not tried


def test_what_is_done_once_is_not_held_against_a_rule() -> None:
    done: list[bool] = []

    def reads_a_list(view: AlertView) -> np.ndarray:
        if not done:
            done.append(True)
            time.sleep(0.6)
        return view.numbers("candidate.magpsf") < 18

    with Engine([entry("list", vectorised(reads_a_list))], function_seconds=0.5) as engine:
        assert engine.judge(alerts())[0].passed.tolist() == EXPECTED.tolist()
        assert engine.off == {}


def test_a_missing_column_switches_off_from_the_start_and_on_again_when_it_comes() -> None:
    reads = Function(lambda view: view.numbers("nice") > 0, ("nice",), "nice > 0")
    filters = [entry("mine", reads), python("column"), entry("ours", reads, built_in=True)]
    switches = Switches()
    with Engine(filters, switches, schema=alerts().schema) as engine:
        assert "no column 'nice'" in engine.off["mine"]
        assert "'no_such_column'" in engine.off["my_column"]
        found = by_name(engine.judge(alerts()))
        assert list(found) == ["ours"]
        assert found["ours"].failed.all()
        more = alerts().append_column("nice", pa.array([1.0] * LENGTH))
        assert by_name(engine.judge(more.append_column("no_such_column", pa.array([1] * LENGTH))))["mine"].passed.all()
        assert engine.off == {}


def test_an_empty_batch_gives_empty_verdicts() -> None:
    with Engine([python("raises"), entry("ours", BRIGHT, built_in=True)]) as engine:
        for verdict in engine.judge(alerts().slice(0, 0)):
            assert verdict.passed.shape == verdict.failed.shape == (0,)
        assert engine.off == {}


def test_switches_outlive_a_restart_until_the_rule_changes(tmp_path: Path) -> None:
    file = tmp_path / "state" / "filters.json"
    bad, better = entry("mine", vectorised(raising, "one")), entry("mine", vectorised(raising, "another"))
    with Engine([bad], Switches(file), failures=1) as engine:
        engine.judge(alerts())
    assert json.loads(file.read_text())["mine"]["cause"] == "failed"
    with Engine([bad], Switches(file)) as engine:
        assert engine.judge(alerts()) == []
    with Engine([better], Switches(file)) as engine:
        assert len(engine.judge(alerts())) == 1


def test_a_running_engine_notices_the_switches(tmp_path: Path) -> None:
    file = tmp_path / "filters.json"
    ours = entry("ours", BRIGHT, built_in=True)
    with Engine([ours, python("bright")], Switches(file)) as engine:
        assert len(engine.judge(alerts())) == 2
        Switches(file).switch_off(ours, "hand", "for a while")
        assert engine.off == {"ours": "for a while"}
        assert list(by_name(engine.judge(alerts()))) == ["my_bright"]
        assert Switches(file).switch_on("ours")
        assert not Switches(file).switch_on("ours")
        assert len(engine.judge(alerts())) == 2
        assert not engine.outdated


def test_a_function_switched_on_again_asks_for_another_engine(tmp_path: Path) -> None:
    switches = Switches(tmp_path / "filters.json")
    switches.switch_off(python("bright"), "slow", "it was slow")
    with Engine([python("bright")], switches) as engine:
        assert engine.judge(alerts()) == []
        assert not engine.outdated
        Switches(tmp_path / "filters.json").switch_on("my_bright")
        assert engine.outdated
        assert engine.judge(alerts()) == []
    with Engine([python("bright")], switches) as engine:
        assert engine.judge(alerts())[0].passed.tolist() == EXPECTED.tolist()


def test_what_was_switched_off_by_hand_stays_off_whatever_the_rule_is() -> None:
    switches = Switches()
    switches.switch_off(entry("mine", BRIGHT, version="1"), "hand", "no more of it")
    assert switches.off(entry("mine", BRIGHT, version="2")) is not None
    switches.switch_off(entry("mine", BRIGHT, version="1"), "failed", "it failed")
    assert switches.off(entry("mine", BRIGHT, version="2")) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"mine": 3}', '{"mine": {"a": 1}}', "\x00"])
def test_switches_that_cannot_be_read_switch_nothing_off(tmp_path: Path, text: str) -> None:
    file = tmp_path / "filters.json"
    file.write_text(text)
    switches = Switches(file)
    assert switches.off(entry("mine", BRIGHT)) is None
    switches.switch_off(entry("mine", BRIGHT), "hand", "why not")
    assert Switches(file).off(entry("mine", BRIGHT)) is not None


def test_a_rule_whose_check_raises_anything_harms_nobody() -> None:
    class Broken(Function):
        def check(self, schema: pa.Schema) -> None:
            raise RuntimeError("inside")

    broken = Broken(lambda view: np.ones(len(view), dtype=bool), (), "broken")
    with Engine([entry("mine", broken), entry("ours", BRIGHT, built_in=True)]) as engine:
        assert list(by_name(engine.judge(alerts()))) == ["ours"]
        assert engine.off["mine"] == "RuntimeError: inside"


def test_a_name_that_is_none_of_a_topic_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no name for a filter"):
        entry("My Filter", BRIGHT)
