"""Alerts that are kept, and handed on again by the command."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from stream_messages import ACTION, HANDLE, NAME, OPTIONS, TOPIC, message, unreadable
from tom_fink import kept


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with override_settings(FINK_KEPT_ALERTS_DIR=str(tmp_path / "kept")):
        yield tmp_path / "kept"


def test_the_same_message_is_kept_once_and_another_at_its_place_beside_it(folder: Path) -> None:
    assert kept.keep(message(1), "a") == kept.keep(message(1), "b")
    kept.keep(message(1, "ZTF21zzzzzzz"), "of a topic made anew")
    assert sorted(kept.read(file).reason for file in kept.kept_files()) == ["b", "of a topic made anew"]
    assert not list(folder.rglob("*.part"))


def test_the_names_of_new_folders_last_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(kept, "_sync", synced.append)
    file = kept.keep(message(1), "failed")
    assert {file.parent, folder, folder.parent} <= set(synced)


def test_without_a_setting_alerts_are_kept_in_the_project(tmp_path: Path) -> None:
    with override_settings(FINK_KEPT_ALERTS_DIR=None, BASE_DIR=tmp_path):
        assert kept.folder() == tmp_path / "fink_kept_alerts"


def replay() -> str:
    out = io.StringIO()
    streams = [
        {"NAME": NAME, "OPTIONS": {**OPTIONS, "TOPIC_HANDLERS": {"fink.stream": HANDLE}}},
        {"NAME": "some.other.Stream", "OPTIONS": {}},
    ]
    with override_settings(ALERT_STREAMS=streams):
        call_command("fink_replay", stdout=out, stderr=out)
    return out.getvalue()


def test_replay_hands_kept_alerts_on_and_removes_those_that_succeed(database: None, folder: Path) -> None:
    for number in (1, 2):
        kept.keep(message(number), "failed")
    got: list[str] = []
    ACTION.append(lambda alert, topic: got.append(f"{alert['objectId']} {topic}"))
    assert "2 alerts handled, 0 stay" in replay()
    assert got == [f"ZTF21aaaaaa{number} {TOPIC}" for number in (1, 2)]
    assert kept.kept_files() == []
    assert "0 alerts handled, 0 stay" in replay()


def test_what_fails_again_stays(database: None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept.keep(message(1), "failed")
    kept.keep(unreadable(2), "no key")
    kept.keep(message(3, topic="fink_of_nobody"), "failed")
    (folder / TOPIC / "notes.json").write_text("mine")

    def fail(_alert: dict, _topic: str) -> None:
        raise FileNotFoundError("still not")

    ACTION.append(fail)
    with pytest.raises(CommandError, match="4 alerts could not be handled"):
        replay()
    assert len(kept.kept_files()) == 4
    ACTION.append(lambda *_: None)
    with pytest.raises(CommandError, match="3 alerts could not be handled"):
        replay()
    assert len(kept.kept_files()) == 3
