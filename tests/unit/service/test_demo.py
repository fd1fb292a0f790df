"""What the demo decides before anything is started."""

from __future__ import annotations

import re

import pytest

from fink_broker.archive import Commit
from fink_broker.config.model import Config, KafkaConfig, SimulatorConfig
from fink_broker.errors import ConfigError
from fink_broker.monitor.counts import Counts, Stage
from fink_broker.service.demo import is_closed
from fink_broker.service.demo_source import choose_topic


def test_all_alerts_go_to_a_topic_the_job_reads():
    assert re.fullmatch(r"ztf_\d{8}_programid1", choose_topic(Config()))
    assert choose_topic(Config(kafka=KafkaConfig(topic="ztf-stream-sim"))) == "ztf-stream-sim"
    assert choose_topic(Config(kafka=KafkaConfig(topic="ztf_20231018_programid1"))) == "ztf_20231018_programid1"
    assert choose_topic(Config(simulator=SimulatorConfig(topic="mine"))) == "mine"


def test_a_pattern_nobody_can_guess_is_told():
    with pytest.raises(ConfigError, match="simulator"):
        choose_topic(Config(kafka=KafkaConfig(topic=r"zwicky_\d+")))


@pytest.mark.parametrize(("topics", "archived", "closed"), [(7, 7, True), (7, 4, False), (3, 7, False)])
def test_the_demo_waits_for_topics_and_for_the_archive(topics: int, archived: int, closed: bool):
    def stage(name: str, alerts: int, cut: int = 0) -> Stage:
        counts = {"in": alerts, "out": alerts - cut, "cut": cut}
        return Stage(name, (Commit(name, [], [], counts, 0.0, 1.0),))

    counts = Counts(stage("raw", 9), stage("science", 9, cut=2), stage("topics", topics), stage("archived", archived))
    assert is_closed(counts) is closed
