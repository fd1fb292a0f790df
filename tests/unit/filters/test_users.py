"""Users' functions: what their arguments are, what they are given, what they may answer."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.users import frames
from fink_broker.filters.users.arguments import Argument, inputs_of, paths_of, raw_columns
from fink_broker.filters.users.functions import UserFunction, source_of
from fink_broker.filters.users.isolation import WrongAnswer, isolate, told
from fink_broker.filters.users.pandas_columns import arguments_from, as_pandas, truth_values

POINT = pa.struct([("magpsf", pa.float32()), ("isdiffpos", pa.string()), ("only_past", pa.int32())])
CANDIDATE = pa.struct(
    [("magpsf", pa.float32()), ("isdiffpos", pa.string()), ("ndethist", pa.int32()), ("jd", pa.float64())]
)
TABLE = pa.table(
    {
        "candid": pa.array([1, 2, 3]),
        "objectId": pa.array(["a", None, "c"]),
        "candidate": pa.array(
            [
                {"magpsf": 17.1, "isdiffpos": "t", "ndethist": 3, "jd": 1.0},
                {"magpsf": None, "isdiffpos": None, "ndethist": None, "jd": 2.0},
                {"magpsf": 18.5, "isdiffpos": "f", "ndethist": 5, "jd": 3.0},
            ],
            CANDIDATE,
        ),
        "prv_candidates": pa.array(
            [[{"magpsf": 19.0, "isdiffpos": "f"}, {"magpsf": None, "isdiffpos": "t"}], None, []], pa.list_(POINT)
        ),
        "cutoutScience": pa.array([{"fileName": "x", "stampData": b"1"}, None, {"fileName": "y", "stampData": b"3"}]),
        "lc_features_r": pa.array(
            [{"linear_fit_slope": 0.5, "mean": 1.0}, None, {"linear_fit_slope": -1.0, "mean": 2.0}]
        ),
        "lc_features_g": pa.array([{"mean": 1.0}] * 3),
        "mags": pa.array([[1.0, 2.0], None, []]),
    }
)


def given(*names: str, table: pa.Table = TABLE) -> dict[str, pd.Series]:
    inputs = inputs_of([Argument(name) for name in names], table.schema)
    columns = raw_columns(table, [path for paths in inputs.values() for path in paths])
    return arguments_from(columns, inputs)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("candid", ("candid",)),
        ("magpsf", ("candidate.magpsf",)),
        ("cmagpsfc", ("prv_candidates.magpsf", "candidate.magpsf")),
        ("cstampDatac", ("cutoutScience.stampData",)),
        ("stampData", ("cutoutScience.stampData",)),
        ("linear_fit_slope", ("lc_features_r.linear_fit_slope",)),
        ("candidate", ("candidate",)),
        ("mulens", ("mulens",)),
    ],
)
def test_an_argument_finds_its_column(name: str, paths: tuple[str, ...]) -> None:
    assert paths_of(name, TABLE.schema) == paths


def test_an_argument_without_a_column_is_told_with_the_names_most_like_it() -> None:
    with pytest.raises(ConfigError, match=r"no column for the argument 'magpfs'.*'magpsf'"):
        paths_of("magpfs", TABLE.schema)
    with pytest.raises(ConfigError, match=r"may be any of lc_features_r\.mean, lc_features_g\.mean"):
        paths_of("mean", TABLE.schema)
    with pytest.raises(ConfigError, match="no column for the argument 'only_past'"):
        paths_of("only_past", TABLE.schema)


def test_an_argument_with_a_default_may_go_without_a_column() -> None:
    assert inputs_of([Argument("candid"), Argument("threshold", required=False)], TABLE.schema) == {
        "candid": ("candid",)
    }


@pytest.mark.parametrize("table", [TABLE, pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1, 2)])])
def test_columns_come_as_spark_gives_them(table: pa.Table) -> None:
    found = given("objectId", "magpsf", "ndethist", "cmagpsfc", "cisdiffposc", "mags", "mulens", table=table)
    assert found["magpsf"].dtype == np.float32
    np.testing.assert_array_equal(found["magpsf"], np.array([17.1, np.nan, 18.5], np.float32))
    assert found["ndethist"].dtype == np.float64  # whole numbers with a null among them
    assert np.isnan(found["ndethist"][1])
    assert found["objectId"].tolist() == ["a", None, "c"]
    curves = found["cmagpsfc"]
    assert [len(curve) for curve in curves] == [3, 1, 1]
    assert curves[0].dtype == np.float32
    np.testing.assert_array_equal(curves[0], np.array([19.0, np.nan, 17.1], np.float32))
    assert [list(texts) for texts in found["cisdiffposc"]] == [["f", "t", "t"], [None], ["f"]]
    assert found["mags"][1] is None
    assert list(found["mags"][0]) == [1.0, 2.0]
    assert found["mulens"].isna().all()


def test_a_struct_comes_as_a_frame() -> None:
    found = given("cutoutScience", "linear_fit_slope")
    assert found["cutoutScience"]["stampData"].tolist() == [b"1", None, b"3"]
    assert found["linear_fit_slope"].tolist()[::2] == [0.5, -1.0]


def test_a_sliced_table_gives_its_own_rows() -> None:
    found = given("cmagpsfc", "mags", table=TABLE.slice(1, 2))
    assert [len(curve) for curve in found["cmagpsfc"]] == [1, 1]
    assert found["mags"][0] is None


def test_a_function_may_write_to_its_arguments() -> None:
    first, second = given("magpsf", "cmagpsfc"), given("magpsf", "cmagpsfc")
    first["magpsf"][:] = 0
    first["cmagpsfc"][0][:] = 0
    assert second["magpsf"][0] == np.float32(17.1)
    assert second["cmagpsfc"][0][0] == np.float32(19.0)
    assert as_pandas(TABLE["candid"].chunk(0)).to_numpy().flags.writeable


@pytest.mark.parametrize(
    "answer",
    [
        [True, False, None],
        np.array([True, False, False]),
        pd.Series([True, False, np.nan]),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, False], index=[7, 8, 9]),
        (1, 0, 0),
        np.array([1.0, 0.0, np.nan]),
        pa.array([True, None, False]),
    ],
)
def test_truth_values_in_any_shape(answer: object) -> None:
    assert truth_values(answer, 3).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([True], "1 values for 3 alerts"),
        (None, "a NoneType for 3 alerts"),
        (True, "a bool for 3 alerts"),
        ("abc", "a str for 3 alerts"),
        (["yes", "no", "yes"], "texts instead of True and False"),
        (pd.Series(["yes", None, True]), "a str among the truth values"),
        ([0.7, 0.2, 1.0], "numbers such as 0.7"),
        (pd.DataFrame({"a": [True] * 3}), "a DataFrame for 3 alerts"),
        (np.array([1, 2, 3], dtype="datetime64[s]"), "datetime64"),
    ],
)
def test_other_answers_are_refused(answer: object, message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        truth_values(answer, 3)


def test_the_alerts_a_filter_raises_on_are_found() -> None:
    bad = {3, 64, 65, 199}

    def judge(first: int, last: int) -> np.ndarray:
        if bad & set(range(first, last)):
            raise ValueError
        return np.arange(first, last) % 2 == 0

    passed, failed = isolate(judge, 200, seconds=5.0)
    assert set(np.flatnonzero(failed)) == bad
    assert set(np.flatnonzero(passed)) == set(range(0, 200, 2)) - bad
    passed, failed = isolate(judge, 200, seconds=0.0)
    assert failed.all()
    assert not passed.any()


def test_an_error_is_told_in_one_line() -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert told(Hostile()) == "Hostile"
    assert told(ValueError("a\n b")) == "ValueError: a b"
    assert len(told(ValueError("x" * 10_000))) == 300


def test_a_pipe_has_time_limits_and_takes_messages_only() -> None:
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    ours, theirs = frames.Pipe(ours_in, ours_out), frames.Pipe(theirs_in, theirs_out)
    theirs.send({"name": "x"}, b"abc")
    assert ours.receive(1.0) == ({"name": "x"}, b"abc")
    with pytest.raises(frames.Silence):
        ours.receive(0.05)
    with pytest.raises(frames.Silence):
        ours.send({}, bytes(10_000_000), seconds=0.05)  # nobody reads
    os.write(theirs_out, b"something printed into the pipe")
    with pytest.raises(frames.Gone):
        ours.receive(1.0)
    os.close(theirs_out)
    os.close(theirs_in)
    with pytest.raises(frames.Gone):
        while True:
            ours.receive(1.0)
    with pytest.raises(frames.Gone):
        ours.send({}, b"x")
    os.close(ours_in)
    os.close(ours_out)


def test_the_file_of_a_function_is_found_without_running_it(tmp_path: Path) -> None:
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('this was run')")
    (package / "part.py").write_text("raise RuntimeError('this was run')")
    assert source_of("some_package.part:f", str(tmp_path)) == package / "part.py"
    assert source_of("some_package.part.f", str(tmp_path)) == package / "part.py"
    assert source_of("some_package:f", str(tmp_path)) == package / "__init__.py"
    assert source_of("some_package.other:f", str(tmp_path)) is None
    assert source_of("no_such_package_anywhere:f", str(tmp_path)) is None
    assert source_of("json:loads") is not None
    assert source_of("no_such_entry_point") is None


def test_editing_the_file_changes_the_text_of_the_rule(tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text("def f(candid): return candid > 0")
    before = UserFunction("my_module:f", str(tmp_path)).text
    (tmp_path / "my_module.py").write_text("def f(candid): return candid > 1")
    assert UserFunction("my_module:f", str(tmp_path)).text != before


def test_editing_what_the_file_imports_from_its_folder_changes_the_text_as_well(tmp_path: Path) -> None:
    package = tmp_path / "our_package"
    package.mkdir()
    (tmp_path / "my_filter.py").write_text("import numpy\nfrom our_package import limits, other\ndef f(candid): ...")
    (package / "__init__.py").write_text("raise RuntimeError('this was run')")
    (package / "limits.py").write_text("from . import deeper\nfrom .deeper import LIMIT\nimport our_package.absent")
    (package / "deeper.py").write_text("import my_filter, far_away\nLIMIT = 18")
    (tmp_path / "far_away.py").write_text("this is no Python")
    (tmp_path / "stranger.py").write_text("LIMIT = 1")
    rule = UserFunction("my_filter:f", str(tmp_path))
    assert rule.sources[0] == rule.source
    theirs = {package / "__init__.py", package / "limits.py", package / "deeper.py", tmp_path / "far_away.py"}
    assert set(rule.sources[1:]) == theirs
    for file in theirs:
        before = UserFunction("my_filter:f", str(tmp_path)).text
        file.write_text(file.read_text() + "\n# edited")
        assert UserFunction("my_filter:f", str(tmp_path)).text != before
    before = UserFunction("my_filter:f", str(tmp_path)).text
    (tmp_path / "stranger.py").write_text("LIMIT = 2")
    assert UserFunction("my_filter:f", str(tmp_path)).text == before
    assert UserFunction("my_filter:f").sources == ()


def test_an_endless_source_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "my_filter.py").write_text("import helper\n" + "# \n" * 100_000)
    (tmp_path / "helper.py").write_text("")
    os.mkfifo(tmp_path / "pipe.py")
    assert len(UserFunction("my_filter:f", str(tmp_path)).sources) == 1
    (tmp_path / "my_filter.py").write_text("import helper, pipe")
    assert len(UserFunction("my_filter:f", str(tmp_path)).sources) == 2


def test_what_the_topic_carries_is_part_of_the_identity(tmp_path: Path) -> None:
    rule = UserFunction("json:loads")
    made = [
        Filter("mine", rule, "", "", "1"),
        Filter("mine", rule, "", "", "1", output="thin"),
        Filter("mine", rule, "", "", "1", columns=("roid",)),
        Filter("mine", rule, "", "", "1", columns=("roid", "tns")),
    ]
    assert len({entry.identity for entry in made}) == len(made)
    assert made[0].identity is made[0].identity  # computed once, as it stands in every message
    assert made[0] == Filter("mine", rule, "", "", "1")


@pytest.mark.parametrize("place", ["", "a b:c", "a:b:c", "os; rm:x", "a..b:c", "../x:f"])
def test_what_is_no_place_of_a_function_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match="is no place of a function"):
        UserFunction(place)
