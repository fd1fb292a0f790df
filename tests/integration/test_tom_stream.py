"""Alert streams of a real TOM with our module: nothing lost and nothing doubled, whatever happens to it or to Kafka."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import tom_odd_alerts
from environments import interruptible
from rich.console import Console
from tom_project import VERSIONS, our_programs
from tom_sent import light_curve
from tom_story import MORE, Life, Story, tell

from fink_broker.config.model import Config, KafkaConfig, StorageConfig
from fink_broker.service import java_parts
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
KILLED, TERMINATED, INTERRUPTED, LAST = range(4)
#: streams whose topics have alerts
STREAMS = 3


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, unpacked) -> Story:
    """Let it all happen, with a Kafka of our own that can go and come."""
    java_parts.ensure("kafka", Console(stderr=True))
    folder = tmp_path_factory.mktemp("tom_story")
    ports = KafkaConfig(embedded_port=free_port(), embedded_sasl_port=free_port())
    config = Config(storage=StorageConfig(state=folder / "state"), kafka=ports)
    server = KafkaServer(config)
    try:
        return tell(server, config, folder, shared_data, unpacked)
    finally:
        server.terminate()


@pytest.fixture(params=VERSIONS)
def life(story: Story, request: pytest.FixtureRequest) -> Life:
    """Return what was seen of the TOM of a version."""
    return story.lives[request.param]


def test_a_signal_in_the_midst_of_alerts_ends_it_well_and_the_next_goes_on(story: Story, life: Life) -> None:
    assert [run.code for run in life.runs] == [-signal.SIGKILL, 0, 0, 0]
    assert all(len(life.handled(run)) >= MORE for run in range(4))  # there were alerts left each time
    killed, terminated, interrupted, last = (set(life.handled(run)) for run in range(4))
    assert len(killed & (terminated | interrupted | last)) <= STREAMS  # at most the one in hand of each stream
    assert not terminated & (interrupted | last)
    assert not interrupted & last
    for run in (TERMINATED, INTERRUPTED):
        assert len(life.handled(run)) == len(set(life.handled(run)))


def test_each_alert_became_the_target_its_topic_promises(story: Story, life: Life) -> None:
    targets = {target["name"]: target for target in life.found["targets"]}
    assert len(targets) == len(life.found["targets"])
    objects = {tom_odd_alerts.FAILING, "ZTFother", "ZTFdim", *story.sent.alerts}
    assert set(targets) == objects
    for name, alerts in story.sent.alerts.items():
        target = targets[name]
        places = [tuple(alert["candidate"][key] for key in ("ra", "dec", "jd")) for alert in alerts]
        assert (target["ra"], target["dec"], target["epoch"]) in places
        assert target["extras"]["fink broker link"] == f"https://portal.example.org/{name}"
    assert all(target["is_seen"] for target in targets.values())


def test_each_topic_has_a_list_for_everybody(story: Story, life: Life) -> None:
    lists = {each["name"]: each["targets"] for each in life.found["lists"]}
    assert len(lists) == len(life.found["lists"])
    odd = sorted([tom_odd_alerts.FAILING, "ZTFother", "ZTFdim"])
    wanted = story.sent.lists() | {story.odd.topic: odd}
    assert {name: objects for name, objects in lists.items() if name != story.missing} == wanted
    assert lists.get(story.missing, []) == []
    assert all(each["is_seen"] for each in life.found["lists"])


def test_light_curves_are_those_of_the_packets(story: Story, life: Life) -> None:
    targets = {target["name"]: target for target in life.found["targets"]}
    for name, alerts in story.sent.alerts.items():
        wanted, held = light_curve(alerts), {}
        for time, band, magnitude, error, limit in targets[name]["data"]:
            held[time, band, magnitude, limit] = error
        assert len(targets[name]["data"]) == len(held), name
        assert set(held) == set(wanted), name
        assert all(error in wanted[exposure] for exposure, error in held.items()), name
        assert targets[name]["sources"] == ["Fink"]
    assert [datum[1:] for datum in targets["ZTFother"]["data"]] == [["g", 18.25, 0.125, None]]
    assert [datum[1:] for datum in targets["ZTFdim"]["data"]] == [["g", None, None, 20.5]]


def test_every_alert_was_handed_on_and_those_that_failed_are_kept_until_they_succeed(story: Story, life: Life) -> None:
    sent = {(topic, alert["candid"]) for topic, alerts in story.sent.topics.items() for alert in alerts}
    odd = {(story.odd.topic, candid) for candid in (*story.odd.readable, story.odd.failing["candid"])}
    assert set(life.handled()) == sent | odd
    repeated = Counter(life.handled())
    assert sum(repeated.values()) - len(repeated) <= 2 * STREAMS  # once killed, once without Kafka

    unreadable, failed = sorted(life.kept, key=lambda kept: "as the test asked" in kept["reason"])
    assert base64.b64decode(unreadable["value"]) == tom_odd_alerts.GARBAGE
    assert unreadable["reason"]
    assert failed["reason"] == "ValueError: as the test asked"
    assert failed["topic"] == story.odd.topic
    assert [replay.code for replay in life.replays] == [1, 1]  # what cannot be read stays
    assert "0 alerts handled, 2 stay" in life.replays[0].said
    assert "1 alerts handled, 1 stay" in life.replays[1].said
    assert len(life.kept_files()) == 1


def test_kafka_that_is_away_a_missing_topic_and_a_wrong_password_are_told(story: Story, life: Life) -> None:
    said = life.runs[KILLED].said
    assert said.count("Waiting for Kafka at") == STREAMS + 2
    last = life.runs[LAST].said
    assert f"has no topic {story.missing}" in last
    assert all(topic in last for topic in story.sent.topics)  # those there are
    assert "check user and password" in last
    everything = "".join(run.said for run in (*life.runs, *life.replays))
    assert story.password not in everything
    assert story.wrong not in everything
    troubles = re.findall(r"Traceback.*?\n(\w[^\n]*)", everything, re.DOTALL)
    assert set(troubles) == {"ValueError: as the test asked"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tests_that_run_inside_a_tom_pass(version: str) -> None:
    inside = ROOT / "tests" / "unit" / "tom_fink" / "inside"
    options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(inside)]
    done = subprocess.run(
        interruptible([str(our_programs(version) / "python"), "-m", "pytest", str(inside), *options]),
        capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
