"""Filters by name, and what a filter must have."""

from __future__ import annotations

import pytest

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.config.model import DistributionConfig
from fink_broker.errors import ConfigError
from fink_broker.filters import BUILT_IN, Filter, find_filters
from fink_broker.filters.terms import one_of


def test_the_topics_of_the_default_configuration_are_all_there() -> None:
    assert [entry.name for entry in find_filters(DistributionConfig().topics)] == DistributionConfig().topics


def test_each_filter_once_in_the_order_asked_for() -> None:
    assert [entry.name for entry in find_filters(["vra", "blazar", "vra"])] == ["vra", "blazar"]


def test_an_unknown_filter_is_named_with_near_names() -> None:
    with pytest.raises(ConfigError, match=r"no filter 'sn_candidate'.*'sn_candidates'"):
        find_filters(["vra", "sn_candidate"])
    with pytest.raises(ConfigError, match=r"Known filters: sn_candidates, .*vra"):
        find_filters(["zzz"])


@pytest.mark.parametrize("name", ["", "SN", "sn candidates", "1st", "sn-candidates"])
def test_a_name_that_makes_no_topic_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no name for a filter"):
        Filter(name, "roid = 3", "", "", "1")


def test_an_empty_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'empty' has no rule"):
        Filter("empty", "  ", "", "", "1")


def test_every_built_in_filter_says_what_it_takes_and_whence() -> None:
    for name, entry in BUILT_IN.items():
        assert entry.name == name
        assert entry.description.endswith(".")
        assert entry.reference
        assert entry.version


def test_extragalactic_labels() -> None:
    assert len(EXTRAGALACTIC) == len(set(EXTRAGALACTIC)) == 34
    assert "Fail 504" in EXTRAGALACTIC
    assert "Fail 500" not in EXTRAGALACTIC


def test_quotes_in_values_cannot_leave_the_text() -> None:
    assert one_of("label", ["a'b", "c\\"]) == r"(label IN ('a\'b', 'c\\'))"
