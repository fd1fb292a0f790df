"""Filters by name, and what a filter must have."""

from __future__ import annotations

import pytest

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.config import Config
from fink_broker.config.model import DistributionConfig
from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.registry import BUILT_IN, find_filters
from fink_broker.filters.sql import SqlRule


def test_the_topics_of_the_default_configuration_are_all_there() -> None:
    topics = DistributionConfig().topics
    assert len(topics) == 21
    assert list(BUILT_IN) == topics
    assert [entry.name for entry in find_filters(topics)] == topics
    assert [entry.name for entry in find_filters(topics, Config())] == topics


def test_each_filter_once_in_the_order_asked_for() -> None:
    assert [entry.name for entry in find_filters(["vra", "blazar", "vra"])] == ["vra", "blazar"]


@pytest.mark.parametrize("config", [None, Config()])
def test_an_unknown_filter_is_named_with_near_names(config: Config | None) -> None:
    with pytest.raises(ConfigError, match=r"no filter 'sn_candidate'.*'sn_candidates'"):
        find_filters(["vra", "sn_candidate"], config)
    with pytest.raises(ConfigError, match=r"Known filters: sn_candidates, .*vra"):
        find_filters(["zzz"], config)


@pytest.mark.parametrize("name", ["", "SN", "sn candidates", "1st", "sn-candidates", "a" * 201])
def test_a_name_that_makes_no_topic_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"no name for a filter"):
        Filter(name, SqlRule("roid = 3"), "", "", "1")


def test_every_built_in_filter_says_what_it_takes_and_whence() -> None:
    for name, entry in BUILT_IN.items():
        assert entry.name == name
        assert entry.description.endswith(".")
        assert entry.reference
        assert entry.version
        assert entry.rule.text
        assert entry.rule.reads
        assert entry.built_in


def test_the_identity_changes_with_the_rule_and_with_the_version() -> None:
    def identity(rule: str, version: str) -> str:
        return Filter("mine", SqlRule(rule), "", "", version).identity

    same = identity("roid = 3", "1")
    assert same == identity("roid = 3", "1")
    assert same.startswith("1-")
    assert len({same, identity("roid = 2", "1"), identity("roid = 3", "2")}) == 3
    assert len({entry.identity for entry in BUILT_IN.values()}) == len(BUILT_IN)


def test_extragalactic_labels() -> None:
    assert len(EXTRAGALACTIC) == len(set(EXTRAGALACTIC)) == 34
    assert "Fail 504" in EXTRAGALACTIC
    assert "Fail 500" not in EXTRAGALACTIC
