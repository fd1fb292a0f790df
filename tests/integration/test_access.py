"""Passwords and rights at a real Kafka, with the real fink-client: who may read does, who may not is told."""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import clients
import contract_messages
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from fink_client import FinkClient, Outcome
from pipeline import create_topic
from rich.console import Console

from fink_broker.config.model import Config, DistributionConfig, KafkaConfig, StorageConfig
from fink_broker.errors import ConfigError, ServiceError, UsageError
from fink_broker.notify.template import Template
from fink_broker.notify.webhook import Webhook
from fink_broker.service import java_parts
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.kafka_users import KafkaUser, KafkaUsers, new_password
from fink_broker.service.ports import free_port

pytestmark = pytest.mark.integration

LIBRARY, COMMAND = "12.3.0", "7.2"
REFUSED_LOGIN = "Authentication failed during authentication due to invalid credentials"
REFUSED_TOPIC = "Topic authorization failed"
REFUSED_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED


@dataclass(frozen=True)
class Access:
    """A Kafka with two topics, and a user who may read one of them."""

    config: Config
    granted: str
    foreign: str
    alerts: clients.Alerts = field(repr=False)
    user: str
    password: str = field(repr=False)

    @property
    def login(self) -> str:
        return f"127.0.0.1:{self.config.kafka.embedded_sasl_port}"

    def options(self, user: str = "", password: str = "") -> dict[str, str]:
        return {
            "bootstrap.servers": self.login,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user or self.user,
            "sasl.password": password or self.password,
        }


@pytest.fixture(scope="module")
def access(kafka: str, kafka_config: Config, unpacked, shared_data: Path) -> Access:
    """Fill two topics with real alerts, and let a user read one."""
    science = shared_data / "expected" / "science_20231018.parquet"
    messages = contract_messages.from_packets(unpacked("ztf_public_20231018")[:5], science)
    mark = uuid.uuid4().hex[:6]
    granted, foreign = f"fink_sn_{mark}_ztf", f"fink_vra_{mark}_ztf"
    for topic in (granted, foreign):
        create_topic(kafka, topic)
        contract_messages.publish(kafka, topic, messages, 4)
    alerts = {alert["candid"]: alert for alert in messages.alerts}
    made = Access(kafka_config, granted, foreign, alerts, f"astro-{mark}", new_password())
    assert KafkaUsers(kafka_config, {}).add(made.user, ["fink_sn_"], made.password)
    return made


@pytest.fixture
def users(access: Access) -> KafkaUsers:
    return KafkaUsers(access.config, {})


def client(version: str, access: Access, home: Path, password: str) -> FinkClient:
    return FinkClient(version, home, access.login, uuid.uuid4().hex, user=access.user, password=password)


def read_one(options: dict[str, str], topic: str, seconds: float = 10, group: str = "") -> KafkaError | None:
    """Read a message by hand; return what Kafka has against it."""
    group = group or uuid.uuid4().hex
    consumer = Consumer({**options, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(seconds)
        assert message is not None, f"neither a message of {topic} nor an error within {seconds} s"
        return message.error()
    finally:
        consumer.close()


def test_the_library_reads_with_the_right_password(access: Access, tmp_path: Path) -> None:
    clients.check_library(client(LIBRARY, access, tmp_path, access.password), access.granted, access.alerts)


def test_the_library_is_refused_with_a_wrong_password(access: Access, tmp_path: Path) -> None:
    wrong = client(LIBRARY, access, tmp_path, "wrong-password")
    alerts, outcome = wrong.read_with_library([access.granted], 1, 8)
    assert alerts == []
    assert REFUSED_LOGIN in outcome.complained


def test_the_library_is_refused_a_foreign_topic(access: Access, tmp_path: Path) -> None:
    right = client(LIBRARY, access, tmp_path, access.password)
    alerts, outcome = right.read_with_library([access.foreign], 1, 8)
    assert alerts == []
    assert outcome.code != 0
    assert "AlertError" in outcome.complained
    assert REFUSED_TOPIC in outcome.complained


def test_the_old_command_reads_with_the_right_password(access: Access, tmp_path: Path) -> None:
    right = client(COMMAND, access, tmp_path / "home", access.password)
    clients.check_stream(right, access.granted, access.alerts, tmp_path / "saved")


def polled(access: Access, topic: str, password: str, refusal: str, folder: Path) -> Outcome:
    """Poll a topic by the old command until it is refused; no alert may come before."""
    asked = client(COMMAND, access, folder / "home", password)
    asked.register(topic)
    outcome = asked.poll_until(refusal, folder / "saved")
    assert refusal in outcome.complained
    assert clients.saved_alerts(folder / "saved") == {}
    assert "ZTF" not in outcome.printed
    return outcome


def test_the_old_command_is_refused_with_a_wrong_password(access: Access, tmp_path: Path) -> None:
    polled(access, access.granted, "wrong-password", REFUSED_LOGIN, tmp_path)


def test_the_old_command_is_refused_a_foreign_topic(access: Access, tmp_path: Path) -> None:
    outcome = polled(access, access.foreign, access.password, REFUSED_TOPIC, tmp_path)
    assert "AlertError" in outcome.complained
    assert outcome.code != 0


def test_a_user_sees_only_what_he_may_read_and_changes_nothing(access: Access) -> None:
    admin = AdminClient(access.options())
    assert set(admin.list_topics(timeout=10).topics) == {access.granted}
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        admin.create_topics([NewTopic("fink_sn_mine", 1, 1)])["fink_sn_mine"].result(20)
    with pytest.raises(KafkaException, match="AUTHORIZATION_FAILED"):
        admin.delete_topics([access.granted])[access.granted].result(20)
    errors: list[KafkaError] = []
    producer = Producer({**access.options(), "message.timeout.ms": 10_000, "log_level": 0})
    producer.produce(access.granted, b"mine", on_delivery=lambda error, _message: errors.append(error))
    producer.flush(20)
    assert [error.code() for error in errors] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def commit_as(options: dict[str, str], group: str, topic: str) -> KafkaError | None:
    """Say that a group has read the first message of a topic; return what Kafka has against it."""
    # a commit of a group that is refused is tried again for as long as a session lasts
    short = {"session.timeout.ms": 1000, "heartbeat.interval.ms": 300}
    consumer = Consumer({**options, **short, "group.id": group, "enable.auto.commit": False, "log_level": 0})
    deadline = time.monotonic() + 3
    try:
        while True:
            try:
                return consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)[0].error
            except KafkaException as error:
                if error.args[0].code() != KafkaError._WAIT_COORD or time.monotonic() > deadline:
                    return error.args[0]
            time.sleep(0.1)
    finally:
        consumer.close()


def committed(kafka: str, group: str, topic: str) -> int:
    """Return where a group goes on reading, as the broker's own clients see it; negative if it never read."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    try:
        return consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
    finally:
        consumer.close()


def test_a_user_cannot_move_what_the_broker_has_read(access: Access, users: KafkaUsers, kafka: str) -> None:
    """Who may read as a group may set where it goes on: the notifier's would leave alerts out, or tell them again."""
    notifier = Webhook(f"w{uuid.uuid4().hex[:6]}", "json", "", (access.granted,), Template("{objectId}")).group
    assert commit_as({"bootstrap.servers": kafka}, notifier, access.granted) is None
    for group in (notifier, f"fink_{uuid.uuid4().hex}"):
        before = committed(kafka, group, access.granted)
        assert commit_as(access.options(), group, access.granted) is not None
        refusal = read_one(access.options(), access.granted, group=group)
        assert refusal is not None
        assert refusal.code() == REFUSED_GROUP
        assert committed(kafka, group, access.granted) == before
    own = f"{access.user}_group"
    assert commit_as(access.options(), own, access.granted) is None
    assert committed(kafka, own, access.granted) == 1
    assert KafkaUser(access.user, ("fink_sn_",)) in users.all()


def test_who_is_no_administrator_cannot_look_at_users_or_change_them(access: Access) -> None:
    output = DistributionConfig(servers=access.login, security_protocol="SASL_PLAINTEXT")
    config = access.config.model_copy(update={"distribution": output})
    environ = {"FINK_DISTRIBUTION_USERNAME": access.user, "FINK_DISTRIBUTION_PASSWORD": access.password}
    with pytest.raises(ServiceError, match=r"lets us neither see nor change its users.* must be an administrator"):
        KafkaUsers(config, environ)
    with pytest.raises(ServiceError, match="refuses the broker's own user and password"):
        KafkaUsers(config, environ | {"FINK_DISTRIBUTION_PASSWORD": "wrong-password"})
    with pytest.raises(ConfigError, match="is SASL_PLAINTEXT, but no user and password are set"):
        KafkaUsers(config, {})


def test_everybody_on_this_machine_reads_and_writes_without_a_password(access: Access, kafka: str) -> None:
    assert {access.granted, access.foreign} <= set(
        AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    )
    assert read_one({"bootstrap.servers": kafka}, access.foreign) is None


def test_add_again_changes_password_and_topics(access: Access, users: KafkaUsers) -> None:
    name, first, second = f"u{uuid.uuid4().hex[:6]}", new_password(), new_password()
    assert users.add(name, ["fink_sn_", "fink_vra_"], first) is True
    assert read_one(access.options(name, first), access.foreign) is None
    assert users.add(name, ["fink_sn_", "fink_vra_"], first) is False
    assert KafkaUser(name, ("fink_sn_", "fink_vra_")) in users.all()

    assert users.add(name, ["fink_sn_"], None) is False
    assert KafkaUser(name, ("fink_sn_",)) in users.all()
    assert read_one(access.options(name, first), access.granted) is None
    refusal = read_one(access.options(name, first), access.foreign)
    assert refusal is not None
    assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

    users.add(name, ["fink_sn_"], second)
    assert read_one(access.options(name, second), access.granted) is None
    with pytest.raises(KafkaException):
        AdminClient({**access.options(name, first), "log_level": 0}).list_topics(timeout=5)


def test_who_is_removed_reads_nothing_more_though_he_is_logged_in(
    access: Access, users: KafkaUsers, kafka: str
) -> None:
    name, password = f"u{uuid.uuid4().hex[:6]}", new_password()
    users.add(name, ["fink_sn_"], password)
    settings = {"group.id": "g", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({**access.options(name, password), **settings})
    consumer.assign([TopicPartition(access.granted, 0, 0)])
    message = consumer.poll(10)
    assert message is not None
    assert message.error() is None

    assert users.remove(name) is True
    assert users.remove(name) is False
    assert name not in {user.name for user in users.all()}
    with pytest.raises(UsageError, match="no password to keep"):
        users.add(name, ["fink_sn_"], None)
    consumer.seek(TopicPartition(access.granted, 0, 0))
    message = consumer.poll(20)
    while message is not None and message.error() is None:  # what it had fetched before
        message = consumer.poll(20)
    consumer.close()
    assert message is not None
    # whichever is refused first: the topic, or the look for the group's coordinator
    refusals = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
    assert message.error().code() in refusals


def test_passwords_stand_nowhere_in_kafkas_files(access: Access) -> None:
    files = [file for file in access.config.storage.state.rglob("*") if file.is_file()]
    assert any(access.user.encode() in file.read_bytes() for file in files)
    assert not [file for file in files if access.password.encode() in file.read_bytes()]


def test_a_folder_made_without_passwords_goes_on_with_them(tmp_path: Path) -> None:
    java_parts.ensure("kafka", Console(stderr=True))
    options = {"bootstrap.servers": ""}
    port, said = free_port(), json.dumps({"said": "before"}).encode()
    for sasl_port in (0, free_port()):
        ports = KafkaConfig(embedded_port=port, embedded_sasl_port=sasl_port)
        config = Config(storage=StorageConfig(state=tmp_path), kafka=ports)
        server = KafkaServer(config)
        server.start()
        try:
            server.wait_until_up(threading.Event())
            options["bootstrap.servers"] = server.servers
            if not sasl_port:
                assert server.sasl_servers == ""
                create_topic(server.servers, "fink_old_ztf", 1)
                producer = Producer(options)
                producer.produce("fink_old_ztf", said)
                assert producer.flush(20) == 0
                continue
            KafkaUsers(config, {}).add("astro", ["fink_"], "a-password")
            login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512"}
            login |= {"bootstrap.servers": server.sasl_servers, "sasl.username": "astro", "sasl.password": "a-password"}
            consumer = Consumer({**login, "group.id": "g", "auto.offset.reset": "earliest"})
            consumer.subscribe(["fink_old_ztf"])
            message = consumer.poll(20)
            consumer.close()
            assert message is not None
            assert message.value() == said
        finally:
            server.terminate()
