"""The page on topics says what is so: all topics, all functions, and how rules take missing and narrow numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pyarrow as pa
import pytest

from fink_broker.config import Config
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.sql.compiler import FUNCTIONS
from fink_broker.filters.view import AlertView

PAGE = (Path(__file__).parents[3] / "docs" / "topics.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_topic_of_the_broker_has_a_line() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", section("The broker's own"), flags=re.MULTILINE)
    assert rows == list(BUILT_IN)


def test_every_function_is_named() -> None:
    rows = "".join(re.findall(r"^\|.*$", section("How a rule is written"), flags=re.MULTILINE))
    words = {word for span in re.findall(r"`([^`]+)`", rows) for word in re.findall(r"[a-z]\w*", span)}
    assert set(FUNCTIONS) <= words


def test_the_defaults_it_names() -> None:
    config = Config()
    assert f"made with {config.distribution.partitions} partitions" in PAGE
    assert f"keeps messages for {config.distribution.retention_days:g} days" in PAGE
    assert f"compressed by {config.distribution.compression}" in PAGE
    assert f"more than {config.filters.function_seconds:g} s on a batch" in PAGE
    assert f"more than {config.filters.largest_share:.0%}".replace("%", " %") in PAGE
    assert config.filters.failures == 3
    assert "three batches in a row" in PAGE


@pytest.mark.parametrize(
    ("rule", "with_drb", "without"),
    [
        ("drb > 0.5", True, False),
        ("NOT drb > 0.5", False, False),
        ("NOT coalesce(drb > 0.5, false)", False, True),
        ("isnan(drb)", False, True),
        ("drb IS NULL", False, True),
        ("drb = 0.65", False, False),
        ("drb = cast(0.65 as float)", True, False),
        ("3 / 2 = 1.5", True, True),
        ("drb / 0 IS NULL", True, True),
        ("ln(-1) IS NULL", True, True),
        ("size(prv_candidates.magpsf) = 2", True, True),
        ("array_min(prv_candidates.magpsf) = 18", True, True),
        ("element_at(prv_candidates.magpsf, -1) IS NULL", True, True),
        ("element_at(prv_candidates.magpsf, 9) IS NULL", True, True),
        ("mangrove['lum_dist'] = '12.5' AND cast(mangrove.lum_dist as double) < 20", True, True),
        ("CANDIDATE.drb IS NULL OR candidate.DRB > 0", True, True),
    ],
)
def test_rules_do_what_it_says(rule: str, with_drb: bool, without: bool) -> None:
    point = pa.list_(pa.struct([("magpsf", pa.float32())]))
    table = pa.table(
        {
            "candidate": pa.array([{"drb": 0.65}, {"drb": math.nan}], pa.struct([("drb", pa.float32())])),
            "prv_candidates": pa.array([[{"magpsf": 18.0}, {"magpsf": None}]] * 2, point),
            "mangrove": pa.array([[("lum_dist", "12.5")]] * 2, pa.map_(pa.string(), pa.string())),
        }
    )
    condition = SqlRule(rule)
    condition.check(table.schema)
    assert condition.decide(AlertView(table)).tolist() == [with_drb, without]
