"""The broker's topics that are conditions in SQL: production's decisions on real alerts, gaps, and edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from expected_topics import COUNTS, SETS, Which, expected_topics, science_table

from fink_broker.errors import ConfigError
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.terms import one_of
from fink_broker.filters.view import OPTIONAL_COLUMNS, SCIENCE_MODULES, AlertView
from fink_broker.science.registry import GROUPS, MODULES
from fink_broker.science.testing import offline_config

TOPICS = [name for name, entry in BUILT_IN.items() if isinstance(entry.rule, SqlRule)]


def test_thirteen_topics_are_plain_expressions() -> None:
    assert len(TOPICS) == 13


@pytest.mark.parametrize("which", SETS)
def test_topics_are_those_of_production(unpacked: Callable[..., list[bytes]], shared_data: Path, which: Which) -> None:
    table = science_table(shared_data, unpacked, which)
    wanted = expected_topics(shared_data, which)
    view = AlertView(table)
    for name in TOPICS:
        rule = BUILT_IN[name].rule
        rule.check(table.schema)
        passed = rule.decide(view)
        candids = table["candid"].to_numpy()[passed]
        assert set(candids) == set(wanted["candid"][wanted[name]]), name
        assert passed.sum() == COUNTS[name][SETS.index(which)], name


CANDIDATE = pa.struct(
    [
        ("jd", pa.float64()), ("jdstarthist", pa.float64()), ("drb", pa.float32()), ("classtar", pa.float32()),
        ("ndethist", pa.int32()), ("magpsf", pa.float32()),
    ]
)  # fmt: skip
KINDS = {
    "cdsxmatch": pa.string(), "tns": pa.string(), "finkclass": pa.string(), "roid": pa.int32(),
    "snn_snia_vs_nonia": pa.float64(), "snn_sn_vs_all": pa.float64(), "mulens": pa.float64(),
    "rf_kn_vs_nonkn": pa.float64(), "rf_snia_vs_nonia": pa.float64(), "candidate": CANDIDATE,
}  # fmt: skip
ROW: dict[str, Any] = {
    "cdsxmatch": "Unknown",
    "tns": "",
    "finkclass": "SN candidate",
    "roid": 0,
    "snn_snia_vs_nonia": 0.9,
    "snn_sn_vs_all": 0.9,
    "mulens": 0.0,
    "rf_kn_vs_nonkn": 0.0,
    "rf_snia_vs_nonia": 0.0,
    "candidate": {
        "jd": 2460236.5,
        "jdstarthist": 2460200.5,
        "drb": 0.9,
        "classtar": 0.9,
        "ndethist": 3,
        "magpsf": 19.9,
    },
}
NAN = math.nan


def row_with(change: dict[str, Any]) -> dict[str, Any]:
    row = {**ROW, "candidate": dict(ROW["candidate"])}
    for name, value in change.items():
        (row if name in row else row["candidate"])[name] = value
    return row


def table_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})


@pytest.mark.parametrize(
    ("change", "topics"),
    [
        ({}, ["sn_candidates", "vra"]),
        ({"drb": NAN}, []),
        ({"drb": None}, []),
        ({"classtar": NAN}, ["vra"]),
        ({"magpsf": NAN}, ["sn_candidates"]),
        ({"jdstarthist": NAN}, ["vra"]),
        ({"jd": None}, ["vra"]),
        ({"ndethist": None}, ["vra"]),
        ({"ndethist": 1}, ["vra"]),
        ({"snn_snia_vs_nonia": NAN}, ["sn_candidates", "vra"]),
        ({"snn_snia_vs_nonia": None, "snn_sn_vs_all": NAN}, ["vra"]),
        ({"snn_snia_vs_nonia": 0.5, "snn_sn_vs_all": 0.5}, ["vra"]),
        ({"roid": None}, []),
        ({"cdsxmatch": None}, []),
        ({"cdsxmatch": "Star"}, []),
        ({"cdsxmatch": "Galaxy_of_some_kind"}, []),
        ({"cdsxmatch": "Fail 504"}, ["sn_candidates"]),
        ({"cdsxmatch": "Fail 500"}, []),
        ({"cdsxmatch": "Candidate_TTau*"}, ["yso_candidates"]),
        ({"cdsxmatch": "GravLens"}, ["simbad_grav_candidates"]),
        ({"cdsxmatch": "BLLac"}, ["blazar"]),
        ({"drb": 0.5}, []),
        ({"jdstarthist": 2460146.5}, ["sn_candidates", "vra"]),  # age of 90 days exactly
        ({"jdstarthist": 2460146.4}, ["vra"]),
        ({"roid": 1}, ["sn_candidates", "first_pass_candidates", "vra"]),
        ({"roid": 2}, ["sn_candidates", "sso_fink_candidates", "vra"]),
        ({"roid": 3}, ["sso_ztf_candidates"]),
        ({"rf_snia_vs_nonia": 0.6}, ["sn_candidates", "early_sn_candidates", "vra"]),
        ({"rf_snia_vs_nonia": 0.6, "ndethist": 20, "roid": 3}, ["early_sn_candidates", "sso_ztf_candidates"]),
        ({"rf_snia_vs_nonia": 0.6, "ndethist": 21}, ["sn_candidates", "vra"]),
        ({"rf_snia_vs_nonia": 0.5}, ["sn_candidates", "vra"]),
        ({"rf_kn_vs_nonkn": 0.6}, ["sn_candidates", "vra"]),
        ({"rf_kn_vs_nonkn": 0.6, "jdstarthist": 2460231.6}, ["sn_candidates", "kn_candidates", "vra"]),
        ({"rf_kn_vs_nonkn": 0.6, "jdstarthist": 2460231.5}, ["sn_candidates", "vra"]),  # age of 5 days exactly
        ({"rf_kn_vs_nonkn": 0.6, "jdstarthist": 2460231.6, "ndethist": 20}, ["sn_candidates", "vra"]),
        ({"mulens": 0.1}, ["sn_candidates", "microlensing_candidates", "vra"]),
        ({"mulens": NAN}, ["sn_candidates", "vra"]),
        ({"tns": "SN Ia"}, ["sn_candidates", "vra"]),
        ({"tns": "SN Ia", "jdstarthist": 2460206.5}, ["sn_candidates", "tns_match", "vra"]),  # 30 days exactly
        ({"tns": None, "jdstarthist": 2460206.5}, ["sn_candidates", "vra"]),
        ({"finkclass": "Unknown"}, ["sn_candidates", "unknowns", "vra"]),
        ({"finkclass": None}, ["sn_candidates", "vra"]),  # the module failed: the class is not known to be unknown
        ({"candidate": None}, []),
    ],
)  # fmt: skip
def test_missing_values_and_edges(change: dict[str, Any], topics: list[str]) -> None:
    view = AlertView(table_of(row_with(change), ROW))
    found = {name: BUILT_IN[name].rule.decide(view) for name in TOPICS}
    assert [name for name in TOPICS if found[name][0]] == topics
    assert [name for name in TOPICS if found[name][1]] == ["sn_candidates", "vra"]


def test_optional_columns_that_are_absent_count_as_null() -> None:
    table = table_of(row_with({"mulens": 0.1, "rf_snia_vs_nonia": 0.6}))
    view = AlertView(table.drop_columns(list(OPTIONAL_COLUMNS)))
    found = []
    for name in TOPICS:
        BUILT_IN[name].rule.check(view.schema)
        found += [name] if BUILT_IN[name].rule.decide(view)[0] else []
    assert found == ["sn_candidates", "vra"]


@pytest.mark.parametrize("name", sorted(set(KINDS) - set(OPTIONAL_COLUMNS) - {"candidate"}))
def test_the_science_module_of_an_absent_column_is_named(name: str) -> None:
    schema = table_of(ROW).drop_columns([name]).schema
    module = SCIENCE_MODULES[name]
    readers = [entry for entry in map(BUILT_IN.get, TOPICS) if entry and name in entry.rule.reads]
    assert readers
    for entry in readers:
        with pytest.raises(ConfigError, match=rf"no column '{name}'\. The science module '{module}' writes it"):
            entry.rule.check(schema)


def test_modules_are_named_that_write_these_columns() -> None:
    config = offline_config()
    for column, module in SCIENCE_MODULES.items():
        assert module in config.science.modules
        written = [MODULES[name](config).outputs for name in GROUPS.get(module, (module,))]
        assert column in [output.name for outputs in written for output in outputs]


def test_quotes_in_values_cannot_leave_the_text() -> None:
    assert one_of("label", ["a'b", "c\\"]) == r"(label IN ('a\'b', 'c\\'))"
    table = pa.table({"label": ["a'b", "c\\", "a"]})
    assert SqlRule(one_of("label", ["a'b", "c\\"])).decide(AlertView(table)).tolist() == [True, True, False]
