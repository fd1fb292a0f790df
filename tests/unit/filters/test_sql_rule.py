"""Conditions in SQL on a small table of alerts: what each construct means, and whom it takes."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from fink_broker.errors import ConfigError
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.sql.compiler import FUNCTIONS
from fink_broker.filters.view import AlertView

NAN = math.nan
CANDIDATE = pa.struct(
    [
        ("drb", pa.float32()), ("magpsf", pa.float32()), ("dec", pa.float64()), ("ndethist", pa.int32()),
        ("isdiffpos", pa.string()), ("candid", pa.int64()),
    ]
)  # fmt: skip
PAST = pa.list_(pa.struct([("magpsf", pa.float32()), ("fid", pa.int32()), ("isdiffpos", pa.string())]))
#: Three alerts: whole, with gaps, and without anything.
ALERTS = pa.table(
    {
        "objectId": ["ZTF18abc", "ZTF23xyz", None],
        "cdsxmatch": ["SN", "Candidate_TTau*", None],
        "roid": pa.array([3, None, None], pa.int32()),
        "is_transient": pa.array([True, False, None]),
        "candidate": pa.array(
            [
                {"drb": 0.9, "magpsf": 19.5, "dec": 1.5, "ndethist": 4, "isdiffpos": "t", "candid": 2**60 + 1},
                {"drb": NAN, "magpsf": 18.0, "dec": -3.0, "ndethist": 1, "isdiffpos": " No ", "candid": 2**60},
                None,
            ],
            CANDIDATE,
        ),
        "prv_candidates": pa.array(
            [[{"magpsf": 18.5, "fid": 1, "isdiffpos": "t"}, {"magpsf": NAN, "fid": 2, "isdiffpos": None}], [], None],
            PAST,
        ),
        "lc_features_g": pa.array([{"mean": 1.0}, {"mean": None}, None], pa.struct([("mean", pa.float64())])),
        "lc_features_r": pa.array([{"mean": 1.0}, {"mean": None}, None], pa.struct([("mean", pa.float64())])),
        "mangrove": pa.array([[("lum_dist", "12.5")], [], None], pa.map_(pa.string(), pa.string())),
        "blazar_stats": pa.array([[("low", 1.5)], [("low", NAN)], None], pa.map_(pa.string(), pa.float32())),
        "Label": pa.array(["a", "b", None], pa.string()).dictionary_encode(),
    }
)


def passing(text: str, table: pa.Table = ALERTS) -> list[int]:
    """Numbers of the alerts that pass."""
    rule = SqlRule(text)
    rule.check(table.schema)
    found = rule.decide(AlertView(table))
    assert found.dtype == bool
    assert found.shape == (len(table),)
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # missing values are neither true nor false
        ("candidate.drb > 0.5", [0]),
        ("NOT candidate.drb > 0.5", []),
        ("roid <> 3", []),
        ("roid = 3 OR candidate.ndethist = 1", [0, 1]),
        ("roid = 3 AND candidate.ndethist = 4", [0]),
        ("NOT (roid = 3 AND candidate.ndethist = 4)", [1]),
        ("roid IS NULL", [1, 2]),
        ("roid IS NOT NULL", [0]),
        ("isnull(roid)", [1, 2]),
        ("isnotnull(roid)", [0]),
        ("isnan(candidate.drb)", [1, 2]),
        ("roid <=> 3", [0]),
        ("NOT roid <=> 3", [1, 2]),
        ("roid <=> NULL", [1, 2]),
        ("roid IS DISTINCT FROM 3", [1, 2]),
        ("roid IS NOT DISTINCT FROM 3", [0]),
        ("NULL <=> NULL", [0, 1, 2]),
        ("is_transient IS TRUE", [0]),
        ("is_transient IS NOT TRUE", [1, 2]),
        ("is_transient IS FALSE", [1]),
        ("is_transient", [0]),
        ("NOT is_transient", [1]),
        ("!is_transient", [1]),
        ("candidate IS NULL", [2]),
        ("prv_candidates IS NULL", [2]),
        ("coalesce(roid, 7) = 7", [1, 2]),
        ("ifnull(roid, 7) = 7", [1, 2]),
        ("nvl(cdsxmatch, 'none') = 'none'", [2]),
        ("nullif(roid, 3) IS NULL", [0, 1, 2]),
        ("nullif(candidate.ndethist, 4) = 1", [1]),
        # lists of values
        ("roid IN (1, 3)", [0]),
        ("roid NOT IN (1, 2)", [0]),
        ("roid IN (3, NULL)", [0]),
        ("roid NOT IN (1, NULL)", []),
        ("(roid IN (1, NULL)) IS NULL", [0, 1, 2]),
        ("candidate.magpsf IN (18, 20)", [1]),
        ("candidate.magpsf - 18 IN (0.0)", [1]),
        ("(candidate.magpsf - 18) * -1.0 IN (0.0)", [1]),
        ("candidate.ndethist IN (candidate.magpsf - 17, 100)", [1]),
        ("is_transient IN (true)", [0]),
        ("NULL IN (1, 2) IS NULL", [0, 1, 2]),
        # comparisons
        ("candidate.magpsf BETWEEN 18 AND 19", [1]),
        ("candidate.magpsf NOT BETWEEN 18 AND 19", [0]),
        ("candidate.candid = 1152921504606846977", [0]),
        ("candidate.candid > 1152921504606846976", [0]),
        ("candidate.ndethist == 4", [0]),
        ("candidate.ndethist != 4", [1]),
        ("19 < candidate.magpsf AND candidate.magpsf < 20", [0]),
        ("cdsxmatch < 'D'", [1]),
        ("(roid = 3) = is_transient", [0]),
        ("TRUE", [0, 1, 2]),
        ("1 = 2", []),
        # precedence
        ("roid = 3 OR candidate.ndethist = 1 AND candidate.dec > 0", [0]),
        ("NOT candidate.ndethist = 4 AND candidate.dec < 0", [1]),
        ("1 + 2 * 3 = 7 AND (1 + 2) * 3 = 9 AND 7 - 2 - 1 = 4 AND 2 * 6 / 3 = 4 AND -2 + 3 = 1", [0, 1, 2]),
        # arithmetic
        ("candidate.ndethist / 8 = 0.5", [0]),
        ("candidate.ndethist % 3 = 1", [0, 1]),
        ("mod(-7, 3) = -1 AND -7.5 % 2 = -1.5", [0, 1, 2]),
        ("-candidate.dec > 2", [1]),
        ("candidate.drb / 0 IS NULL", [0, 1, 2]),
        ("candidate.ndethist % 0 IS NULL AND candidate.magpsf % 0 IS NULL", [0, 1, 2]),
        ("candidate.ndethist % -1 = 0", [0, 1]),
        ("ln(candidate.dec) IS NULL", [1, 2]),
        ("sqrt(candidate.dec) IS NULL", [1, 2]),
        ("log10(candidate.dec - candidate.dec) IS NULL", [0, 1, 2]),
        ("exp(candidate.magpsf * 100) IS NULL", [0, 1, 2]),
        ("power(candidate.magpsf, 1000) IS NULL", [0, 1, 2]),
        ("candidate.candid * 16 IS NULL", [0, 1, 2]),
        ("candidate.candid * 4 > 0", [0, 1]),
        ("9223372036854775807 + 1 IS NULL", [0, 1, 2]),
        ("acos(candidate.ndethist) IS NULL", [0, 2]),
        # functions of numbers
        ("abs(candidate.dec) > 2", [1]),
        ("pow(candidate.ndethist, 2) = 16", [0]),
        ("log(2, candidate.ndethist) = 2", [0]),
        ("log10(100) = 2 AND log2(8) = 3 AND abs(log(3, 9) - 2) < 1e-12 AND ln(exp(1)) = 1", [0, 1, 2]),
        ("abs(degrees(radians(candidate.dec)) - candidate.dec) < 1e-9", [0, 1]),
        ("sin(0) = 0 AND cos(0) = 1 AND tan(0) = 0 AND asin(0) = 0 AND atan(0) = 0 AND atan2(0, 1) = 0", [0, 1, 2]),
        ("floor(candidate.dec) = 1 AND ceil(candidate.dec) = 2 AND round(candidate.dec) = 2", [0]),
        ("round(-2.5) = -3 AND round(2.345, 1) = 2.3 AND round(1234.5, -2) = 1200", [0, 1, 2]),
        ("sign(candidate.dec) = -1", [1]),
        ("greatest(candidate.dec, 0, NULL) = 0", [1, 2]),
        ("least(candidate.ndethist, 2.5) = 2.5", [0, 2]),
        ("greatest(cdsxmatch, 'D') = 'D'", [1, 2]),
        # cases
        ("CASE WHEN roid = 3 THEN 'known' WHEN is_transient THEN 'new' ELSE cdsxmatch END = 'known'", [0]),
        ("CASE candidate.ndethist WHEN 4 THEN 1.5 WHEN 1 THEN 2 END > 1.6", [1]),
        ("CASE WHEN roid = 3 THEN 1 END IS NULL", [1, 2]),
        ("if(is_transient, candidate.dec, 0) = 0", [1, 2]),
        # casts
        ("cast(candidate.isdiffpos AS boolean)", [0]),
        ("NOT cast(candidate.isdiffpos AS boolean)", [1]),
        ("cast(mangrove['lum_dist'] AS double) > 12", [0]),
        ("cast('1e999' AS double) IS NULL AND cast('nan' AS double) IS NULL AND cast('' AS int) IS NULL", [0, 1, 2]),
        ("cast(' +12 ' AS int) = 12 AND cast('-1.9' AS bigint) = -1 AND cast('12x' AS int) IS NULL", [0, 1, 2]),
        ("cast('99999999999999999999' AS bigint) IS NULL AND cast(1e30 AS int) IS NULL", [0, 1, 2]),
        ("cast(-1.9 AS int) = -1 AND cast(true AS int) = 1 AND cast(0 AS boolean) = false", [0, 1, 2]),
        ("cast(candidate.ndethist AS string) = '4'", [0]),
        ("cast(candidate.dec AS string) = '1.5' AND cast(is_transient AS string) = 'true'", [0]),
        ("cast(0.1 AS float) <> 0.1 AND 0.5D = 0.5 AND try_cast('x' AS double) IS NULL AND '3'::int = 3", [0, 1, 2]),
        # texts
        ("cdsxmatch LIKE 'S_'", [0]),
        ("cdsxmatch LIKE 'TTau%'", []),
        ("cdsxmatch LIKE '%TTau*'", [1]),
        (r"cdsxmatch LIKE 'Candidate\_%'", [1]),
        (r"cdsxmatch LIKE 'C\%'", []),
        ("cdsxmatch NOT LIKE 'S%'", [1]),
        ("cdsxmatch ILIKE 's%'", [0]),
        ("'a\nb' LIKE 'a%b' AND 'a.b' LIKE 'a.b' AND NOT 'axb' LIKE 'a.b'", [0, 1, 2]),
        ("objectId RLIKE '^ZTF(18|19)'", [0]),
        (r"objectId RLIKE r'^ZTF\d\dx'", [1]),
        (r"objectId RLIKE 'F\\d+x'", [1]),
        ("upper(cdsxmatch) = 'SN' AND lower(cdsxmatch) = 'sn' AND length(cdsxmatch) = 2", [0]),
        ("length('α Cen') = 5", [0, 1, 2]),
        ("trim('  a ') = 'a'", [0, 1, 2]),
        ("startswith(cdsxmatch, 'Cand') OR endswith(cdsxmatch, 'N') OR contains(cdsxmatch, 'zz')", [0, 1]),
        ("substring(objectId, 4, 2) = '18' AND substring(objectId, -3) = 'abc'", [0]),
        ("substring(objectId, -3, 2) = 'xy' AND substring(objectId, 1) = objectId", [1]),
        ("substring('abc', -5, 3) = 'a' AND substring('abc', -2, 9) = 'bc'", [0, 1, 2]),
        ("substring('abc', 0, 2) = 'ab' AND substring('abc', 2, 0) = ''", [0, 1, 2]),
        ("concat(cdsxmatch, '/', objectId) = 'SN/ZTF18abc'", [0]),
        ("cdsxmatch || 'x' = 'SNx'", [0]),
        ("concat(cdsxmatch, NULL) IS NULL", [0, 1, 2]),
        (r"'it\'s' = \"it's\"".replace("\\\"", '"'), [0, 1, 2]),
        # lists
        ("size(prv_candidates.magpsf) = 2", [0]),
        ("size(prv_candidates) = 0", [1]),
        ("cardinality(prv_candidates.fid) >= 0", [0, 1]),
        ("array_min(prv_candidates.magpsf) = 18.5 AND array_max(prv_candidates.magpsf) = 18.5", [0]),
        ("array_max(prv_candidates.fid) = 2", [0]),
        ("array_max(prv_candidates.fid) IS NULL", [1, 2]),
        ("element_at(prv_candidates.fid, -1) = 2 AND element_at(prv_candidates.fid, 1) = 1", [0]),
        ("element_at(prv_candidates.fid, -2) = 1 AND element_at(prv_candidates.fid, -3) IS NULL", [0]),
        ("prv_candidates.fid[0] = 1 AND prv_candidates.fid[1] = 2 AND prv_candidates.fid[2] IS NULL", [0]),
        ("element_at(prv_candidates.magpsf, -1) IS NULL", [0, 1, 2]),
        ("array_contains(prv_candidates.fid, 2)", [0]),
        ("array_contains(prv_candidates.fid, 2.5)", []),
        ("NOT array_contains(prv_candidates.fid, 7)", [0, 1]),
        ("NOT array_contains(prv_candidates.magpsf, 7)", [1]),
        ("array_contains(prv_candidates.fid, candidate.ndethist - 2)", [0]),
        ("array_contains(prv_candidates.isdiffpos, 't')", [0]),
        # maps
        ("mangrove.lum_dist = '12.5'", [0]),
        ("element_at(blazar_stats, 'low') = 1.5", [0]),
        ("blazar_stats.low IS NULL", [1, 2]),
        ("blazar_stats.nothing IS NULL", [0, 1, 2]),
        # names
        ("drb > 0.5", [0]),
        ("magpsf > 19", [0]),
        ("DRB > 0.5 AND CANDIDATE.NDETHIST = 4", [0]),
        ("`candidate`.`drb` > 0.5 AND `candidate.drb` > 0.5", [0]),
        ("dec > 0 AND candidate.dec > 0", [0]),
        ("label = 'a'", [0]),
        ("mulens IS NULL AND rf_kn_vs_nonkn IS NULL", [0, 1, 2]),
    ],
)  # fmt: skip
def test_who_passes(text: str, numbers: list[int]) -> None:
    assert passing(text) == numbers
    assert passing(text, pa.concat_tables([ALERTS.slice(2), ALERTS]).slice(1)) == numbers, "whatever the chunks"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("drb > 'a'", r"In 'drb > 'a'', a number meets a text\. Numbers stand without quotes"),
        ("cdsxmatch = 1", r"a text meets a whole number"),
        ("19 < magpsf < 20", r"true or false meets a whole number\. Write a < x AND x < b"),
        ("drb", r"'drb' is a number, not a condition\. Did you mean drb > 0\?"),
        ("cdsxmatch", r"'cdsxmatch' is a text, not a condition\. Did you mean cdsxmatch = '…'\?"),
        ("drb AND is_transient", r"'drb' is a number, not a condition"),
        ("NULL", r"'NULL' is null, not a condition"),
        ("is_transient > true", r"true or false, not a value that can be compared so"),
        ("prv_candidates.magpsf > 1", r"a list of numbers meets a whole number\. Take one value"),
        ("candidate > 1", r"a structure meets a whole number\. Name one of the fields"),
        ("mangrove > 1", r"a map meets a whole number\. Take one value of the map"),
        ("mangrove[1] = 'a'", r"The key in .* is no text"),
        ("size(drb) > 1", r"'drb' is a number, not a list"),
        ("array_max(prv_candidates.isdiffpos) = 't'", r"a list of texts, not a list of numbers"),
        ("abs(cdsxmatch) > 1", r"'cdsxmatch' is a text, not a number"),
        ("lower(drb) = 'a'", r"'drb' is a number, not a text\. cast"),
        ("concat(drb, 'a') = 'a'", r"'drb' is a number, not a text"),
        ("is_transient + 1 > 1", r"'is_transient' is true or false, not a number"),
        ("if(drb, 1, 2) = 1", r"'drb' is a number, not a condition"),
        ("coalesce(drb, 'a') = 1", r"a number meets a text"),
        ("cdsxmatch IN ('a', 1)", r"a text meets a whole number"),
        ("array_contains(prv_candidates.fid, 'a')", r"a whole number meets a text"),
        ("element_at(prv_candidates.fid, 0) = 1", r"is 0\. element_at counts from 1"),
        ("prv_candidates.fid[-1] = 1", r"is negative\. Write element_at"),
        ("prv_candidates.fid[drb] = 1", r"no whole number"),
        ("cdsxmatch LIKE objectId", r"is no text in quotes"),
        ("cdsxmatch RLIKE '('", r"holds no regular expression: missing \)"),
        ("cdsxmatch RLIKE '(a{1000}){1000}'", r"has repeats that make it too long"),
        ("cdsxmatch RLIKE '(?=a)'", r"holds no regular expression.*without look-ahead"),
        ("round(drb, dec) = 1", r"are no whole number"),
        ("substring(cdsxmatch, dec) = ''", r"are no whole numbers"),
        ("cast(candidate AS string) = ''", r"'candidate' is a structure, not a single value"),
        ("clastar > 0.4", r"no column 'clastar'"),
        ("candidate.ndethits > 1", r"no column 'candidate\.ndethits'\. Did you mean 'candidate\.ndethist'"),
        ("ndethits > 1", r"no column 'ndethits'\. Did you mean 'ndethist'"),
        ("mean > 1", r"'mean' could be any of 'lc_features_g\.mean', 'lc_features_r\.mean'\. Write the whole name"),
        ("drb.x > 1", r"no column 'drb\.x'"),
        ("finkclass = 'SN'", r"no column 'finkclass'\. The science module 'finkclass' writes it"),
        ("lc_features_r.amplitude > 1", r"no column 'lc_features_r\.amplitude'\. Did you mean 'lc_features_r\.mean'"),
    ],
)
def test_what_does_not_fit_is_said_with_a_way_out(text: str, wrong: str) -> None:
    rule = SqlRule(text)
    with pytest.raises(ConfigError, match=wrong):
        rule.check(ALERTS.schema)
    with pytest.raises(ConfigError, match=wrong):
        rule.decide(AlertView(ALERTS))


def test_columns_that_are_read_are_known_by_their_paths_after_the_check() -> None:
    rule = SqlRule("drb > 0.5 AND mangrove.lum_dist = '1' AND size(prv_candidates.magpsf) > 1 AND drb < 1")
    assert rule.reads == ("drb", "mangrove.lum_dist", "prv_candidates.magpsf")
    rule.check(ALERTS.schema)
    assert rule.reads == ("candidate.drb", "mangrove", "prv_candidates.magpsf")


def test_one_rule_serves_tables_of_different_schemas() -> None:
    rule = SqlRule("x > 1")
    assert rule.decide(AlertView(pa.table({"x": [1, 2]}))).tolist() == [False, True]
    nested = pa.table({"candidate": pa.array([{"x": 1.5}], pa.struct([("x", pa.float64())]))})
    assert rule.decide(AlertView(nested)).tolist() == [True]
    assert rule.decide(AlertView(pa.table({"x": [3, 2]}))).tolist() == [True, True]


def test_an_empty_table() -> None:
    assert (
        passing("drb > 0.5 OR size(prv_candidates.fid) > 1 OR element_at(prv_candidates.fid, 1) = 1", ALERTS[:0]) == []
    )


def test_what_rules_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view = AlertView(ALERTS)
    read: list[str] = []
    column = AlertView.column
    monkeypatch.setattr(AlertView, "column", lambda view, path: read.append(path) or column(view, path))
    SqlRule("candidate.magpsf - candidate.dec > 1 AND roid = 3").decide(view)
    computed = set(view._results)
    SqlRule("roid = 3 AND magpsf - dec > 1 OR candidate.magpsf - candidate.dec < 0").decide(view)
    assert sorted(read) == ["candidate.dec", "candidate.magpsf", "roid"]
    # the difference is there already: only its comparison with 0 and the two chains are new
    assert len(set(view._results) - computed) == 3


def test_a_rule_is_its_text() -> None:
    assert SqlRule("a > 1") == SqlRule("a > 1") != SqlRule("a > 2")
    assert len({SqlRule("a > 1"), SqlRule("a > 1")}) == 1
    assert repr(SqlRule("a > 1")) == "SqlRule('a > 1')"
    assert SqlRule(" a > 1 ").text == " a > 1 "


ARGUMENTS = {
    "array_contains": "prv_candidates.fid, 1", "array_max": "prv_candidates.fid", "array_min": "prv_candidates.fid",
    "size": "prv_candidates.fid", "element_at": "prv_candidates.fid, 1", "cast": "drb AS int",
    "try_cast": "drb AS int", "contains": "cdsxmatch, 'a'", "endswith": "cdsxmatch, 'a'",
    "startswith": "cdsxmatch, 'a'", "concat": "cdsxmatch, 'a'", "length": "cdsxmatch", "lower": "cdsxmatch",
    "upper": "cdsxmatch", "trim": "cdsxmatch", "substring": "cdsxmatch, 1", "if": "is_transient, 1, 2",
}  # fmt: skip
OF_TWO = ("atan2", "greatest", "least", "ifnull", "nvl", "nullif", "coalesce", "mod", "pow", "power", "log")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_that_is_listed_is_there(name: str) -> None:
    arguments = ARGUMENTS.get(name, "drb, dec" if name in OF_TWO else "drb")
    SqlRule(f"{name}({arguments}) IS NULL").check(ALERTS.schema)
