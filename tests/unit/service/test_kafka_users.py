"""Users: what is refused before Kafka is asked, and what the command says. No Kafka runs here."""

from __future__ import annotations

import re

import pytest
import typer

from fink_broker.cli import user
from fink_broker.cli.user_app import user_app
from fink_broker.config.model import Config, DistributionConfig, KafkaConfig
from fink_broker.errors import ConfigError, FinkError, ServiceError, UsageError
from fink_broker.service import kafka_users
from fink_broker.service.kafka import free_port
from fink_broker.service.kafka_users import KafkaUser


class RecordedUsers:
    """Remembers what it is asked for."""

    added: list[tuple[str, list[str], str | None]]
    known: list[KafkaUser]

    def __init__(self, *_arguments: object) -> None:
        pass

    def add(self, name: str, prefixes: list[str], password: str | None) -> bool:
        self.added.append((name, prefixes, password))
        return True

    def remove(self, name: str) -> bool:
        return name in {known.name for known in self.known}

    def all(self) -> list[KafkaUser]:
        return self.known


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> type[RecordedUsers]:
    RecordedUsers.added, RecordedUsers.known = [], []
    monkeypatch.setattr(user, "KafkaUsers", RecordedUsers)
    monkeypatch.delenv("FINK_USER_PASSWORD", raising=False)
    return RecordedUsers


def fink_user(*words: str) -> int:
    return user_app(args=list(words), prog_name="fink user", standalone_mode=False)


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a*", "*", "User:a", "é", "a" * 65, "ANONYMOUS", "anonymous"])
def test_names_kafka_or_a_shell_would_take_for_something_else(name: str) -> None:
    with pytest.raises(UsageError):
        kafka_users.check_name(name)


@pytest.mark.parametrize("name", ["astro", "a", "0", "j.doe-2_x", "a" * 64])
def test_names(name: str) -> None:
    kafka_users.check_name(name)


@pytest.mark.parametrize("prefix", ["", "*", "fink_*", "fink sn", "_", "__", "__consumer", "a" * 250, "é"])
def test_prefixes_that_are_none_or_reach_kafkas_own_topics(prefix: str) -> None:
    with pytest.raises(UsageError):
        kafka_users.check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["fink_", "f", "_mine", "ftransfer_ztf_2024-01-01."])
def test_prefixes(prefix: str) -> None:
    kafka_users.check_prefix(prefix)


@pytest.mark.parametrize("password", ["", "short12", "with blank", "pässword!", "tab\tpassword", "newline\n1"])
def test_passwords_clients_could_send_differently(password: str) -> None:
    with pytest.raises(UsageError) as told:
        kafka_users.check_password(password)
    assert not password or password not in str(told.value)


def test_new_passwords_differ_and_survive_a_shell() -> None:
    passwords = {kafka_users.new_password() for _ in range(50)}
    assert len(passwords) == 50
    for password in passwords:
        kafka_users.check_password(password)
        assert re.fullmatch(r"[A-Za-z0-9]{24}", password)


def test_where_users_log_in() -> None:
    assert kafka_users.login_servers(Config()) == "localhost:9093"
    assert kafka_users.login_servers(Config(distribution=DistributionConfig(servers="k:1,l:2"))) == "k:1,l:2"
    with pytest.raises(ConfigError, match=r"kafka\.embedded_sasl_port is 0"):
        kafka_users.login_servers(Config(kafka=KafkaConfig(embedded_sasl_port=0)))


def test_a_kafka_that_does_not_run_is_told_at_once() -> None:
    port = free_port()
    with pytest.raises(ServiceError, match=f"Kafka does not answer at localhost:{port}.*fink start kafka"):
        kafka_users.KafkaUsers(Config(kafka=KafkaConfig(embedded_port=port)), {})
    elsewhere = DistributionConfig(servers=f"127.0.0.1:{port}")
    with pytest.raises(ServiceError, match=r"Check distribution\.servers"):
        kafka_users.KafkaUsers(Config(distribution=elsewhere), {})


def test_add_gives_all_topics_of_the_broker_unless_told(recorded, monkeypatch) -> None:
    monkeypatch.setenv("FINK_USER_PASSWORD", "from-the-environment")
    assert fink_user("add", "astro") == 0
    fink_user("add", "astro", "--topics", "fink_sn, fink_kn", "-t", "fink_sn", "-t", "x")
    assert recorded.added == [
        ("astro", ["fink_"], "from-the-environment"),
        ("astro", ["fink_sn", "fink_kn", "x"], "from-the-environment"),
    ]


def test_add_says_how_to_read_a_topic_the_user_may_read(recorded, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FINK_USER_PASSWORD", "from-the-environment")
    fink_user("add", "astro", "--topics", "fink_sso")
    said = capsys.readouterr().out
    assert "from-the-environment" not in said
    assert "fink_sso_ztf_candidates_ztf" in said
    assert '"bootstrap.servers": "localhost:9093"' in said
    assert "-servers localhost:9092" in said


@pytest.mark.parametrize("name", ["astro", "fink_astro"])
def test_the_group_that_is_proposed_is_one_users_may_use(recorded, capsys, name: str) -> None:
    fink_user("add", name, "--generate")
    said = capsys.readouterr().out
    groups = re.findall(r'(?:"group.id": "|-group_?id )([^" ]+)', said)
    assert len(groups) == 3
    assert not [group for group in groups if group.startswith(kafka_users.OWN_GROUPS)]


def test_a_generated_password_is_shown_once(recorded, capsys) -> None:
    fink_user("add", "astro", "--generate")
    [(_, _, password)] = recorded.added
    assert capsys.readouterr().out.count(password) == 1


def test_a_password_is_asked_for_twice_and_not_shown(recorded, monkeypatch, capsys) -> None:
    asked: dict[str, object] = {}

    def prompt(_text: str, **how: object) -> str:
        asked.update(how)
        return "typed-by-hand"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "prompt", prompt)
    fink_user("add", "astro")
    assert asked == {"hide_input": True, "confirmation_prompt": True}
    assert recorded.added == [("astro", ["fink_"], "typed-by-hand")]
    assert "typed-by-hand" not in capsys.readouterr().out


def test_to_keep_the_password_none_is_asked_for(recorded) -> None:
    fink_user("add", "astro", "--keep-password", "--topics", "fink_vra")
    assert recorded.added == [("astro", ["fink_vra"], None)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("astro",), "Set FINK_USER_PASSWORD in the environment"),
        (("astro", "--generate", "--keep-password"), "Give one of them"),
        (("a b", "--generate"), "cannot be the name"),
        (("astro", "--generate", "--topics", "*"), "not the beginning of a topic's name"),
    ],
)
def test_what_is_wrong_is_told_and_nobody_is_added(recorded, monkeypatch, words, said) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(FinkError, match=re.escape(said)):
        fink_user("add", *words)
    assert recorded.added == []


def test_remove_and_list(recorded, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    fink_user("list")
    assert "No users at localhost:9092" in capsys.readouterr().out
    recorded.known = [KafkaUser("astro", ("fink_sn", "x")), KafkaUser("old", (), 2, has_password=False)]
    fink_user("list")
    said = capsys.readouterr().out
    assert "fink_sn, x" in said
    assert re.search(r"old .*nothing .*has no password, 2 rights not given by fink user", said)
    assert fink_user("remove", "astro") == 0
    assert "Removed the user astro" in capsys.readouterr().out
    assert fink_user("remove", "nobody") == 0
    assert "There is no user nobody" in capsys.readouterr().out
