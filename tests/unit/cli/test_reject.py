"""``fink reject``: the list, one packet, and what is refused before anything is sent."""

from __future__ import annotations

import io
import re
from pathlib import Path

import fastavro
import pytest
from rejected_rows import TOPIC, add_rejected, packet

from fink_broker.archive.rejected import Arrival
from fink_broker.archive.replayed import Replayed
from fink_broker.cli import reject_replay
from fink_broker.cli.reject_app import reject_app
from fink_broker.config import load_config
from fink_broker.errors import ConfigError, DataError, UsageError
from fink_broker.simulate.replay_rejected import Replay, client_options

NOISE = "not an Avro container"
#: when packet(…) came, unix seconds
NOON = 1697630400


def run(*arguments: str) -> int:
    code = reject_app(args=list(arguments), standalone_mode=False)
    return code if isinstance(code, int) else 0


def arrival(offset: int, seconds: int = 0) -> Arrival:
    return Arrival(TOPIC, 0, offset, (NOON + seconds) * 1_000_000)


def _container() -> bytes:
    schema = {
        "type": "record", "name": "alert", "namespace": "other",
        "fields": [{"name": "wind", "type": "float"}, {"name": "image", "type": "bytes"}],
    }  # fmt: skip
    buffer = io.BytesIO()
    fastavro.writer(buffer, schema, [{"wind": 3.5, "image": b"0123456789"}])
    return buffer.getvalue()


CONTAINER = _container()


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a data prefix with three rejected packets, which commands without -c read."""
    monkeypatch.setenv("FINK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fink.conf").write_text('[kafka]\nservers = "127.0.0.1:9"\n')
    folder = str(tmp_path / "online")
    rows = [
        packet(7, NOISE, b"\x1b[31m<html>not found</html>" * 20),
        packet(8, "another schema (alert)", CONTAINER, seconds=3),
        packet(9, "compressed container: \x1b[2J[bold]x", None, seconds=6, partition=2),
    ]
    add_rejected(folder, "q-000000000", "20231018", rows)
    return folder


def test_the_list_counts_reasons_and_names_packets(online: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    told = capsys.readouterr().out
    assert re.search(r"not an Avro container +│ +1 │ 2023-10-18 │ 2023-10-18", told)
    assert re.search(r"all +│ +3 ", told)
    assert told.index(f"{TOPIC}/2/9") < told.index(f"{TOPIC}/0/8") < told.index(f"{TOPIC}/0/7")
    assert "\x1b[2J" not in told and "[bold]x" in told  # a packet's words are neither obeyed nor marked up
    assert run("list", "--reason", NOISE, "--day", "2023-10-18", "--limit", "1") == 0
    told = capsys.readouterr().out
    assert f"{TOPIC}/0/7" in told and f"{TOPIC}/0/8" not in told


def test_the_list_says_what_was_sent_again(online: str, capsys: pytest.CaptureFixture[str]) -> None:
    Replayed(load_config().config).add([arrival(8, 3), arrival(7, 3)])  # there was another 7, in a topic of that name
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [f"{TOPIC}/0/8" in line for line in lines if "sent again" in line] == [True]


def test_the_list_of_an_empty_table_and_of_an_unknown_reason(
    online: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="No packet was rejected for 'not an Avro containr'"):
        run("list", "--reason", "not an Avro containr")
    (tmp_path / "conf" / "fink.conf").write_text(f'[storage]\nonline = "{tmp_path}/nothing"\n')
    assert run("list") == 0
    assert "No packet was rejected." in capsys.readouterr().out


def test_a_packet_is_shown_and_written_whole(online: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "packet.avro"
    assert run("show", f"{TOPIC}/0/8", "--output", str(file)) == 0
    told = capsys.readouterr().out
    assert "another schema (alert)" in told and "other alert" in told and "codec null" in told
    assert '"wind": 3.5' in told and "<10 bytes>" in told
    assert file.read_bytes() == CONTAINER


def test_what_cannot_be_decoded_is_shown_in_hexadecimal(online: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", f"{TOPIC}/0/7") == 0
    told = capsys.readouterr().out
    assert "00000000  1b 5b 33 31 6d 3c 68 74 6d 6c 3e" in told and ".[31m<html>not f" in told
    assert "\x1b[31m" not in told
    assert run("show", f"{TOPIC}/2/9") == 0
    assert "a message without a value" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["", "topic", "topic/1", "topic/a/1", "topic/1/-2", "/1/2", "topic/１/2"])
def test_a_place_that_is_none_is_refused(online: str, place: str) -> None:
    with pytest.raises(UsageError, match="names no packet"):
        run("show", place)


@pytest.mark.parametrize("arguments", [[], ["--all", "--reason", NOISE], [f"{TOPIC}/0/7", "--all"]])
def test_it_must_be_clear_which_packets_are_sent(online: str, arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="not clear which packets"):
        run("replay", *arguments)


def test_nothing_is_sent_twice_or_in_number_without_a_word(
    online: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config().config
    Replayed(config).add([arrival(7)])
    assert run("replay", "--reason", NOISE) == 0
    told = capsys.readouterr().out
    assert "1 packet was sent again before" in told and "There is nothing to send." in told
    monkeypatch.setattr(reject_replay, "ASK_FROM", 1)
    with pytest.raises(UsageError, match=r"2 packets would be sent\. Give --yes"):
        run("replay", "--all")


def test_two_do_not_send_the_same_packets(online: str) -> None:
    with (
        Replayed(load_config().config).held(),
        pytest.raises(UsageError, match=r"Another `fink reject replay` is at work"),
    ):
        run("replay", "--all")
    Replayed(load_config().config).add([arrival(7)])
    assert run("replay", "--reason", NOISE) == 0, "the first has ended"


def test_nothing_is_sent_that_cannot_be_noted(online: str) -> None:
    (Path(online) / "rejected" / "_replayed").write_text("in the way")
    with pytest.raises(DataError, match=r"Nothing was sent: it could not be noted in .*/rejected/_replayed"):
        run("replay", "--all")


def test_a_topic_the_broker_does_not_read_is_refused(online: str) -> None:
    with pytest.raises(UsageError, match="does not read the topic elsewhere"):
        run("replay", "--all", "--topic", "elsewhere")


def test_nothing_goes_where_the_broker_no_longer_reads(online: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka still has yesterday's topic, but kafka.topic names that of today: nobody would read what is sent."""
    monkeypatch.setenv("FINK__KAFKA__TOPIC", "ztf_20231019_programid1")
    monkeypatch.setattr(Replay, "_topics", lambda _: {TOPIC, "ztf_20231019_programid1"})
    with pytest.raises(UsageError, match=rf"does not read the topic {TOPIC}.*--topic"):
        run("replay", "--all")
    assert Replayed(load_config().config).arrivals() == set()


def test_a_password_is_taken_from_the_environment_only(online: str) -> None:
    config = load_config(environ={"FINK__KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT"}).config
    with pytest.raises(ConfigError, match="FINK_KAFKA_USERNAME"):
        Replay(config, {})
    options = client_options(config, {"FINK_KAFKA_USERNAME": "fink", "FINK_KAFKA_PASSWORD": "secret"})
    assert options["sasl.username"] == "fink" and options["sasl.mechanism"] == "SCRAM-SHA-512"
