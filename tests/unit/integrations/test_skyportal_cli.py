"""The commands of the SkyPortal client, with a SkyPortal of the contract and no Kafka."""

import contextlib
import io
import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import fastavro
import pytest
import yaml
from fink_skyportal import checking, cli
from fink_skyportal.alerts.reader import Received
from fink_skyportal.candidate import candidate_of
from fink_skyportal.dry_run import as_json, show
from fink_skyportal.errors import Refusal
from fink_skyportal.microservice import awaited_settings
from fink_skyportal.refused import RefusedFile
from skyportal_server import SkyPortalServer
from unit.integrations.alerts_by_hand import alert

TOPIC = "fink_sn_candidates_ztf"
NUMBERS = ("jd", "ra", "dec", "magpsf", "sigmapsf", "diffmaglim")
SCHEMA = {
    "type": "record",
    "name": "root",
    "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {
            "name": "candidate",
            "type": {
                "type": "record",
                "name": "detection",
                "fields": [
                    *(
                        {"name": name, "type": "double"}
                        for name in ("jd", "ra", "dec", "magpsf", "sigmapsf", "diffmaglim")
                    ),
                    {"name": "fid", "type": "int"},
                    {"name": "isdiffpos", "type": "string"},
                ],
            },
        },
    ],
}


@pytest.fixture
def server():
    with SkyPortalServer() as server:
        yield server


@pytest.fixture
def config(tmp_path, server, monkeypatch) -> Path:
    for name in ("FINK_PASSWORD", "FINK_SKYPORTAL_TOKEN", "FINK_SKYPORTAL_URL"):
        monkeypatch.delenv(name, raising=False)
    content = {
        "fink_topics": [TOPIC],
        "fink_username": None,
        "fink_password": None,
        "fink_group_id": "g",
        "fink_servers": "127.0.0.1:9",
        "skyportal_token": server.token,
        "skyportal_url": server.url,
        "skyportal_group": "Fink",
        "skyportal_name": "fink_bot",
        "testing": False,
        "whitelisted": True,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def refused(tmp_path) -> RefusedFile:
    """The file of refused alerts, with a good one, one that lacks something, and a message that is none."""
    file = RefusedFile(tmp_path / "fink_refused.jsonl")
    for offset, name in enumerate(("ZTF23good", "ZTF23 bad")):
        value = io.BytesIO()
        fastavro.schemaless_writer(value, SCHEMA, alert(objectId=name))
        message = Received(TOPIC, 0, offset, json.dumps(SCHEMA).encode(), value.getvalue(), None, "")
        file.add(message, Refusal("POST /api/candidates", 400, "ra: not valid"), name, 1)
    file.add(Received(TOPIC, 0, 2, None, b"nothing", None, ""), Refusal("", 0, "The message has no key."))
    return file


def test_help_says_how_to_begin(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "config.yaml.example" in said
    for command in ("poll", "microservice", "check", "refused"):
        assert command in said


@pytest.mark.parametrize("words", [["poll"], ["check"], ["microservice"], ["refused", "list"], ["refused", "retry"]])
def test_a_missing_configuration_is_one_line_and_exit_code_2(words, tmp_path, capsys):
    assert cli.main([*words, "--config", str(tmp_path / "none.yaml")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none.yaml cannot be read" in line


def test_a_configuration_without_alerts(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("app: {title: T}\nfink:\n")
    assert cli.main(["microservice", "--config", str(path)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "Inactive" in line
    assert cli.main(["poll", "--config", str(path)]) == 2
    assert "neither fink_topics nor a block fink" in capsys.readouterr().err


def test_refused_alerts_are_listed_with_the_reasons(refused, capsys):
    assert cli.main(["refused", "list", str(refused.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert f"{TOPIC} 0 0  ZTF23good  POST /api/candidates: 400 ra: not valid" in lines[0]
    assert "?  The message has no key." in lines[2]
    assert lines[3].startswith("3 refused")


def test_refused_alerts_are_posted_again_and_those_accepted_leave_the_file(refused, config, server, capsys):
    assert cli.main(["refused", "retry", "--config", str(config)]) == 1
    assert [row["obj_id"] for row in server.state.candidates.values()] == ["ZTF23good"]
    assert [line.offset for line in refused] == [1, 2]
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 accepted, 2 left")
    assert cli.main(["refused", "retry", "--config", str(config)]) == 1
    assert len(server.state.candidates) == 1


def test_a_retry_that_leaves_nothing(refused, config):
    refused.remove({line.identity for line in refused if line.offset})
    assert cli.main(["refused", "retry", str(refused.path), "--config", str(config)]) == 0
    assert list(refused) == []


def test_a_refused_token_is_said_without_the_token(refused, config, server, monkeypatch, capsys):
    monkeypatch.setenv("FINK_SKYPORTAL_TOKEN", "wrong-token")
    assert cli.main(["refused", "retry", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert "does not accept the token" in said and "wrong-token" not in said
    assert len(list(refused)) == 3


def test_check_tells_what_is_right_and_wrong_and_makes_nothing(config, server, monkeypatch, capsys):
    monkeypatch.setattr(checking, "KAFKA_SECONDS", 0.2)
    assert cli.main(["check", "--config", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("WRONG")] == [lines[1]]
    assert "Kafka at 127.0.0.1:9 does not answer" in lines[1]
    assert "right  SkyPortal accepts the token." in lines
    assert "right  Group Fink will be made at the first start." in lines
    assert "right  SkyPortal has the instrument ZTF." in lines
    assert not server.state.streams and not server.state.filters


def test_check_with_a_wrong_token_or_no_skyportal(config, server, monkeypatch, capsys):
    monkeypatch.setattr(checking, "KAFKA_SECONDS", 0.2)
    monkeypatch.setenv("FINK_SKYPORTAL_TOKEN", "wrong-token")
    assert cli.main(["check", "--config", str(config)]) == 1
    assert "WRONG  SkyPortal at" in capsys.readouterr().out.splitlines()[-1]
    server.go_down()
    assert cli.main(["check", "--config", str(config)]) == 1
    assert "is the address right" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop(number):
    before = signal.getsignal(number)
    with cli._stopped_by_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with cli._stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5) and ended == [143]


def test_what_would_be_posted_as_json():
    shown = json.loads(as_json(candidate_of(alert(finkclass="Unknown"), TOPIC, "stand-alone")))
    assert (shown["object_id"], shown["topic"]) == ("ZTF23abcdefg", TOPIC)
    assert [row["filter"] for row in shown["photometry"]] == ["ztfg", "ztfg", "ztfr"]
    assert shown["classification"] == {"name": "Unknown", "probability": None}
    assert shown["thumbnails"] == {}


class Written:
    """Stands in for the stop: while it is waited for, SkyPortal writes its token."""

    def __init__(self, file: Path) -> None:
        self.file, self.waits = file, []

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == 3:
            self.file.write_text("INITIAL_ADMIN: of-the-administrator\n")
        return False


def test_the_service_waits_for_the_token_that_skyportal_writes(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("FINK_SKYPORTAL_TOKEN", raising=False)
    caplog.set_level("INFO")
    path = tmp_path / "config.yaml"
    block = {"client_id": "a", "client_group_id": "g", "topics": [TOPIC], "servers": "localhost:9092"}
    path.write_text(yaml.safe_dump({"fink": block}))
    stop = Written(tmp_path / ".tokens.yaml")
    settings = awaited_settings(path, stop)
    assert settings.skyportal_token.get_secret_value() == "of-the-administrator"
    assert stop.waits == [10.0] * 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("Waiting for a token")


def test_the_service_can_be_stopped_while_it_waits(tmp_path):
    stop = threading.Event()
    stop.set()
    assert awaited_settings(tmp_path / "config.yaml", stop) is None


def test_a_dry_run_goes_on_after_an_alert_with_odd_fields():
    stop, lines = threading.Event(), []

    class Reader(contextlib.nullcontext):
        def poll_many(self, limit, timeout_seconds):
            stop.set()
            found = alert(objectId="A", cdsxmatch=["a", "list"]), None, alert(objectId="C")
            return [Received(TOPIC, 0, n, b"", b"", one, "no alert") for n, one in enumerate(found)]

    settings = SimpleNamespace(generation="stand-alone", poll_seconds=5.0)
    show(Reader(), settings, stop, lines.append)
    assert [json.loads(line)["object_id"] for line in lines] == ["C"]
