"""The service: webhooks come, change and go with their file, and one never harms another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit.notify.far_end import Answer, FarEnd, until
from unit.notify.test_channel import FakeKafka

from fink_broker.config.model import Config, DistributionConfig, FiltersConfig, StorageConfig
from fink_broker.errors import ConfigError, ServiceError
from fink_broker.notify import channel as channel_module
from fink_broker.notify import notifier as notifier_module
from fink_broker.notify.intake import kafka_options
from fink_broker.notify.notifier import Notifier
from fink_broker.notify.trial import try_webhook


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        storage=StorageConfig(state=tmp_path / "state"), filters=FiltersConfig(file=str(tmp_path / "topics.toml"))
    )


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    kafka = FakeKafka()
    monkeypatch.setattr(channel_module, "Intake", kafka.intake)
    monkeypatch.setattr(notifier_module, "LOOK_SECONDS", 0.02)
    return kafka


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def service(config: Config, kafka: FakeKafka, said: list[str], far_end: FarEnd) -> Iterator[Notifier]:
    notifier, stop = Notifier(config, said.append, {"URL": far_end.url}), threading.Event()
    thread = threading.Thread(target=notifier.run, args=(stop,))
    thread.start()
    yield notifier
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not any(channel.is_alive() for channel in notifier.channels.values())


def write(config: Config, *names: str, more: str = "", per_minute: int = 30) -> None:
    tables = [
        f'[[webhook]]\nname = "{name}"\nkind = "json"\nurl = "${{URL}}"\ntopic = "sn_candidates"\n'
        f"per_minute = {per_minute}\n"
        for name in names
    ]
    whole = Path(config.filters.file).with_suffix(".whole")
    whole.write_text("\n".join(tables) + more)
    whole.replace(config.filters.file)  # at once: the service may look at any moment


def running(service: Notifier) -> dict[str, int]:
    return {name: channel.webhook.per_minute for name, channel in service.channels.items() if channel.is_alive()}


def test_webhooks_follow_the_file(service: Notifier, config: Config, said: list[str]) -> None:
    until(lambda: any("no webhooks in" in line for line in said), "it says that there are none")
    write(config, "a", "b")
    until(lambda: running(service) == {"a": 30, "b": 30}, "two run")
    first = service.channels["a"]
    write(config, "b", "c")
    until(lambda: running(service) == {"b": 30, "c": 30}, "one has gone, one has come")
    assert first.stop.is_set()
    untouched = service.channels["b"]
    write(config, "b", more="# a remark")
    until(lambda: running(service) == {"b": 30}, "one is left")
    assert service.channels["b"] is untouched, "what did not change goes on"
    write(config, "b", per_minute=7)
    until(lambda: running(service) == {"b": 7}, "it has changed")
    assert any("2 webhooks: 0 alerts posted" in line for line in said)


def test_a_mistake_keeps_what_worked(service: Notifier, config: Config, said: list[str]) -> None:
    write(config, "a")
    until(lambda: running(service) == {"a": 30}, "it runs")
    before = service.channels["a"]
    Path(config.filters.file).write_text("[[webhook]\nhalf a file")
    until(lambda: any("not well-formed" in line for line in said), "it is told")
    assert service.channels["a"] is before
    write(config, "a", per_minute=0)
    until(lambda: any("webhook a: Its per_minute is wrong" in line for line in said), "it is told")
    assert service.channels["a"] is before
    write(config, "b")
    until(lambda: running(service) == {"b": 30}, "mended, it counts")


def test_a_dead_far_end_beside_a_healthy_one(
    service: Notifier, config: Config, kafka: FakeKafka, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_end.behave = lambda number: Answer(500) if far_end.asked[number][1]["webhook"] == "dead" else Answer()
    kafka.send(range(20))
    write(config, "dead", "well")
    until(lambda: len(far_end.told()) == 20, "the healthy one is told all", 5)
    assert {post["webhook"] for post in far_end.accepted} == {"well"}
    assert service.channels["dead"].status.counters.retries >= 1


def test_a_channel_that_crashed_is_started_again(
    service: Notifier, config: Config, kafka: FakeKafka, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier_module, "CRASH_SECONDS", 0.2)
    whole, failures = channel_module.body, []

    def fail_once(*arguments) -> bytes:
        if not failures:
            failures.append(1)
            raise RuntimeError("of the test")
        return whole(*arguments)

    monkeypatch.setattr(channel_module, "body", fail_once)
    kafka.send([1])
    write(config, "a")
    until(lambda: kafka.committed == 1, "told by its successor")
    assert len(far_end.accepted) == 1


def test_a_password_that_is_not_set_is_told_at_once(config: Config) -> None:
    asks = config.model_copy(update={"distribution": DistributionConfig(security_protocol="SASL_PLAINTEXT")})
    with pytest.raises(ConfigError, match="FINK_DISTRIBUTION_PASSWORD"):
        Notifier(asks, print, {})
    options = kafka_options(asks, {"FINK_DISTRIBUTION_USERNAME": "me", "FINK_DISTRIBUTION_PASSWORD": "word"})
    assert (options["sasl.username"], options["sasl.mechanism"]) == ("me", "SCRAM-SHA-512")


def test_a_trial(config: Config, far_end: FarEnd) -> None:
    write(config, "a", more="[[webhook]]\nname = 'b'\nkind = 'slack'\ntopic = 'vra'\nurl = '${NOT_SET}'\n")
    environ = {"URL": far_end.url}
    assert "took a made-up alert" in try_webhook(config, "a", environ)
    assert far_end.accepted[0]["alerts"][0]["finkclass"] == "this is only a test"
    cases: list[tuple[str, Callable[[int], Answer], type[Exception], str]] = [
        ("a", lambda _: Answer(404, far_end.url.encode()), ServiceError, "HTTP 404.*right one"),
        ("a", lambda _: Answer(500), ServiceError, "HTTP 500.*later"),
        ("b", lambda _: Answer(), ConfigError, "NOT_SET., which is not set"),
        ("c", lambda _: Answer(), ConfigError, "no webhook 'c'.*can be used: a"),
    ]
    for name, behave, kind, told in cases:
        far_end.behave = behave
        with pytest.raises(kind, match=told) as raised:
            try_webhook(config, name, environ)
        assert "verysecretword" not in str(raised.value)
