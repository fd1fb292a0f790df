"""What the demo decides before anything is started."""

from __future__ import annotations

import re

import pytest

from fink_broker.config.model import Config, KafkaConfig, SimulatorConfig
from fink_broker.errors import ConfigError
from fink_broker.service.demo import choose_topic


def test_all_alerts_go_to_a_topic_the_job_reads():
    assert re.fullmatch(r"ztf_\d{8}_programid1", choose_topic(Config()))
    assert choose_topic(Config(kafka=KafkaConfig(topic="ztf-stream-sim"))) == "ztf-stream-sim"
    assert choose_topic(Config(kafka=KafkaConfig(topic="ztf_20231018_programid1"))) == "ztf_20231018_programid1"
    assert choose_topic(Config(simulator=SimulatorConfig(topic="mine"))) == "mine"


def test_a_pattern_nobody_can_guess_is_told():
    with pytest.raises(ConfigError, match="simulator"):
        choose_topic(Config(kafka=KafkaConfig(topic=r"zwicky_\d+")))
