"""The SkyPortal client with a real Kafka: nothing is lost, nothing is doubled, whatever happens on the way."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import contract_messages
import pyarrow as pa
import pytest
from contract_messages import Messages
from pipeline import create_topic
from skyportal_client import Client, Gate, check_each_once, messages_of, one_message, read, real_alerts
from skyportal_rules.faults import Faults
from skyportal_rules.state import RIGHTS
from skyportal_server import SkyPortalServer

from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

COUNT = 500


@pytest.fixture(scope="module")
def alerts(shared_data: Path, unpacked: Callable[..., list[bytes]]) -> pa.Table:
    return real_alerts(shared_data, unpacked, COUNT)


@pytest.fixture(scope="module")
def light(alerts: pa.Table) -> Messages:
    """Return all alerts without images."""
    return messages_of(alerts, "light_curve")


@pytest.fixture
def server() -> Iterator[SkyPortalServer]:
    with SkyPortalServer() as server:
        yield server
        assert server.crashes == []


@pytest.fixture
def sent(kafka: str) -> Callable[[Messages], str]:
    """Return a function that fills a new topic, of four partitions, and returns its name."""

    def send(messages: Messages) -> str:
        name = f"fink_{uuid.uuid4().hex[:8]}_ztf"
        create_topic(kafka, name)
        contract_messages.publish(kafka, name, messages, 4)
        return name

    return send


@pytest.fixture
def client(tmp_path: Path, server: SkyPortalServer, kafka: str) -> Iterator[Callable[..., Client]]:
    """Return a function that makes a client of some topics."""
    made: list[Client] = []

    def make(*topics: str) -> Client:
        made.append(Client(tmp_path / "client", server, kafka, *topics))
        made[-1].folder.mkdir()
        return made[-1]

    yield make
    for one in made:
        if one.process is not None:
            one.kill()
        assert server.token not in one.log


def first(messages: Messages, count: int, start: int = 0) -> Messages:
    chosen = slice(start, start + count)
    return Messages(messages.key, messages.alerts[chosen], messages.values[chosen])


def refused(client: Client) -> list[dict]:
    return [json.loads(line) for line in client.refused]


def test_500_alerts_arrive_once_through_all_faults_and_when_sent_twice(server, client, sent, alerts, kafka) -> None:
    messages = messages_of(alerts)
    topic = sent(messages)
    poll = client(topic)
    faults = server.faults
    faults.slow_seconds, faults.retry_after = 0.002, 1
    faults.error_probability = faults.cut_before_probability = faults.cut_after_probability = 0.003
    poll.start()
    poll.wait(lambda: len(server.state.annotations) > 100, "the first hundred", 60)
    faults.too_many_next = 2
    server.down_for(1.0)
    poll.wait_until_committed(COUNT, 90)
    assert faults.done.keys() == {"error", "cut_before", "cut_after", "too_many"}
    check_each_once(server, alerts)
    assert {row["ttype"] for row in server.state.thumbnails.values()} == {"new", "ref", "sub"}
    server.faults = Faults()
    contract_messages.publish(kafka, topic, messages, 4)
    poll.wait_until_committed(2 * COUNT, 60)
    assert poll.interrupt() == 0
    assert "interrupted!" in poll.log
    check_each_once(server, alerts)
    assert poll.refused == []


def test_killed_three_times_on_the_way_each_alert_arrives_once(server, client, sent, alerts, light) -> None:
    poll = client(sent(light))
    server.faults.slow_seconds = 0.01
    for part in (100, 250, 400):
        poll.start()
        poll.wait(lambda part=part: len(server.state.annotations) > part, f"{part} alerts")
        poll.kill()
        poll.forget_killed()
    poll.start()
    poll.wait_until_committed(COUNT)
    check_each_once(server, alerts)
    assert poll.refused == []


def test_ctrl_c_leaves_no_alert_half_done_and_the_next_start_finds_what_the_first_made(
    server, client, sent, alerts, light
) -> None:
    topics = [sent(first(light, 60)), sent(first(light, 60, 60))]
    poll = client(*topics)
    server.faults.slow_seconds = 0.03
    poll.start()
    poll.wait(lambda: len(server.state.annotations) >= 10, "ten alerts")
    assert poll.interrupt() == 0
    assert "interrupted!" in poll.log
    state = server.state
    done = {row["obj_id"] for row in state.annotations.values()}
    assert 10 <= len(done) < 120
    assert {row["obj_id"] for row in state.candidates.values()} == done
    premises = [dict(table) for table in (state.streams, state.groups, state.filters, state.taxonomies)]
    assert {row["name"] for row in state.filters.values()} == set(topics)
    assert [row["name"] for row in state.streams.values()] == ["fink_stream"]
    assert [row["name"] for row in state.groups.values()] == ["Sitewide Group", "Fink"]
    server.faults.slow_seconds = 0
    poll.start()
    poll.wait_until_committed(120)
    assert [state.streams, state.groups, state.filters, state.taxonomies] == premises
    check_each_once(server, alerts.slice(0, 120))


def test_what_is_refused_or_cannot_be_read_is_kept_whole_and_the_rest_goes_on(
    server, client, sent, light, kafka
) -> None:
    schema = json.loads(light.key)
    topic = sent(first(light, 5))
    wrong, other, bare, blind = (read(value, schema) for value in light.values[5:9])
    wrong["candidate"]["ra"] = 400.0
    blind["candidate"]["diffmaglim"], blind["prv_candidates"] = -1.0, None
    fields = schema["fields"]
    further = {**schema, "fields": [{"name": "later", "type": ["long", "null"]}, *reversed(fields)]}
    without = {**schema, "fields": [field for field in fields if field["name"] != "candidate"]}
    for messages in (
        one_message(schema, wrong),
        one_message(schema, blind),
        one_message(further, {**other, "later": 7}),
        one_message(without, bare),
        Messages("no schema", [], [b"no alert"]),
    ):
        contract_messages.publish(kafka, topic, messages, 1)
    poll = client(topic)
    poll.start()
    poll.wait_until_committed(10)
    assert poll.interrupt() == 0
    posted = {row["obj_id"] for row in server.state.candidates.values()}
    assert posted == {alert["objectId"] for alert in [*light.alerts[:5], other, blind]}
    kept = {row["objectId"]: row for row in refused(poll)}
    assert kept.keys() == {"", wrong["objectId"], bare["objectId"]}
    row = kept[wrong["objectId"]]
    assert (row["status"], row["request"].split()[0]) == (400, "POST")
    assert "ra: not valid" in row["answer"]
    assert read(base64.b64decode(row["value"]), json.loads(base64.b64decode(row["key"]))) == wrong
    assert all(row["topic"] == topic and row["answer"] for row in kept.values())
    assert "10 received = 7 accepted + 3 refused" in poll.log
    listed = poll.run("refused", "list", str(poll.folder / "fink_refused.jsonl"))
    assert (listed.returncode, wrong["objectId"] in listed.stdout) == (0, True)


def test_a_token_that_is_refused_ends_it_and_nothing_is_lost(server, client, sent, alerts, light) -> None:
    poll = client(sent(first(light, 60)))
    server.faults.token_expires_after = 150
    poll.start()
    assert poll.exit_code() == 2
    assert "token" in poll.log.splitlines()[-1] + poll.log.splitlines()[-2]
    poll.config |= {"skyportal_token": "wrong-token"}
    poll.start()
    assert poll.exit_code() == 2
    assert "wrong-token" not in poll.log
    server.faults.token_expires_after = None
    poll.config["skyportal_token"] = server.token
    poll.start()
    poll.wait_until_committed(60)
    check_each_once(server, alerts.slice(0, 60))


def test_a_topic_that_does_not_exist_is_named_with_those_that_do(client, sent, light) -> None:
    there = sent(first(light, 1))
    poll = client("fink_of_nobody_ztf")
    poll.start()
    assert poll.exit_code() != 0
    (line,) = [line for line in poll.log.splitlines() if "fink_of_nobody_ztf" in line]
    assert there in line


def test_it_waits_for_kafka_and_for_skyportal(server, client, sent, alerts, light, kafka) -> None:
    gate = Gate(free_port(), kafka)
    poll = client(sent(first(light, 20)))
    poll.config["fink_servers"] = gate.address
    server.go_down()
    poll.start()
    back = {
        f"Waiting for SkyPortal at {server.url}": server.come_back,
        f"Waiting for Kafka at {gate.address}": gate.open,
    }
    try:
        while back:
            poll.wait(lambda: any(words in poll.log for words in back), "it says what it waits for")
            back.pop(next(words for words in back if words in poll.log))()
        poll.wait_until_committed(20)
    finally:
        gate.close()
    check_each_once(server, alerts.slice(0, 20))


def test_without_a_place_on_the_list_it_keeps_to_five_requests_a_second(client, server, sent, light) -> None:
    server.add_user("newcomer", "newcomer-token", whitelisted=False)
    poll = client(sent(first(light, 2)))
    poll.config |= {"whitelisted": False, "skyportal_token": "newcomer-token", "skyportal_name": "newcomer"}
    poll.start()
    poll.wait_until_committed(2)
    # what the machine delays may come together with what follows
    assert not server.statuses[429]
    assert server.most_in_a_second <= 15
    assert "newcomer-token" not in poll.log


def test_missing_rights_are_named(client, server, sent, light) -> None:
    server.add_user("reader", "reader-token", RIGHTS - {"System admin"})
    poll = client(sent(first(light, 1)))
    poll.config |= {"skyportal_token": "reader-token"}
    poll.start()
    assert poll.exit_code() != 0
    assert "System admin" in poll.log


def test_the_service_inside_skyportal_posts_for_all_groups_that_have_the_filter(
    server, client, sent, alerts, light
) -> None:
    topic = sent(first(light, 20))
    poll = client(topic)
    kafka = {"client_id": "fink", "client_group_id": "inside", "topics": [topic], "servers": poll.kafka}
    poll.config = {
        "server": {"host": "127.0.0.1", "port": server.port},
        "fink": {**kafka, "whitelisted": True, "skyportal_token": server.token},
    }
    state = server.state
    stream, group = state.add_stream("Fink", set()), state.add_group("Others", set())
    state.add(state.filters, {"name": topic, "stream_id": stream, "group_id": group})
    poll.command = "microservice"
    poll.start()
    poll.wait_until_committed(20)
    assert poll.interrupt() == 0
    check_each_once(server, alerts.slice(0, 20), filters=2)
    assert [row["name"] for row in state.groups.values()] == ["Sitewide Group", "Others", "Fink"]
    poll.config["fink"] = {}
    poll.start()
    assert poll.exit_code() == 0
