"""The file of refused alerts: whole, once each, through crashes and with others at work on it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from fink_skyportal.errors import Refusal
from fink_skyportal.refused import RefusedFile

REFUSAL = Refusal("PUT /api/photometry", 400, "fluxerr: not a number: σ")


@dataclass(frozen=True)
class Message:
    topic: str = "fink_sn_candidates_ztf"
    partition: int = 3
    offset: int = 17
    key: bytes | None = b'{"type": "record"}'
    value: bytes = bytes(range(256))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "refused.jsonl"


def test_alert_is_kept_whole(path: Path) -> None:
    assert list(RefusedFile(path)) == []
    assert RefusedFile(path).add(Message(), REFUSAL, "ZTF23aaaaaaa", 2487123456715015000)
    (alert,) = RefusedFile(path)
    assert (alert.topic, alert.partition, alert.offset) == ("fink_sn_candidates_ztf", 3, 17)
    assert (alert.key, alert.value, alert.refusal) == (Message.key, Message.value, REFUSAL)
    assert (alert.object_id, alert.candid) == ("ZTF23aaaaaaa", 2487123456715015000)
    line = json.loads(path.read_text(encoding="utf-8"))
    assert (line["objectId"], line["status"], line["request"]) == ("ZTF23aaaaaaa", 400, "PUT /api/photometry")


def test_message_that_is_no_alert(path: Path) -> None:
    RefusedFile(path).add(Message(key=None, value=b""), Refusal("", 0, "It has no key."))
    (alert,) = RefusedFile(path)
    assert (alert.key, alert.value, alert.object_id, alert.candid) == (None, b"", "", None)


def test_text_that_is_no_unicode(path: Path) -> None:
    RefusedFile(path).add(Message(), Refusal("", 0, "bad \udcff"), "ZTF\ud800")
    assert [alert.refusal.answer for alert in RefusedFile(path)] == ["bad ?"]


def test_the_same_message_is_kept_once(path: Path) -> None:
    file = RefusedFile(path)
    assert [file.add(Message(), REFUSAL), file.add(Message(), REFUSAL)] == [True, False]
    assert not RefusedFile(path).add(Message(), REFUSAL)
    assert len(list(file)) == 1


def test_another_message_in_the_same_place_is_kept(path: Path) -> None:
    """A topic that is deleted and made again counts from 0 again."""
    file = RefusedFile(path)
    assert [file.add(Message(), REFUSAL), file.add(Message(value=b"new"), REFUSAL)] == [True, True]


@pytest.mark.parametrize("cut", [1, 100])
def test_line_cut_short_by_a_crash(path: Path, cut: int) -> None:
    """A line is complete without its end, or is none: either way the next begins a new one."""
    file = RefusedFile(path)
    file.add(Message(offset=1), REFUSAL)
    file.add(Message(offset=2), REFUSAL)
    path.write_bytes(path.read_bytes()[:-cut])
    again = RefusedFile(path)
    assert again.add(Message(offset=2), REFUSAL) is (cut > 1)
    again.add(Message(offset=3), REFUSAL)
    assert [alert.offset for alert in again] == [1, 2, 3]


def test_accepted_ones_are_taken_out_and_others_stay(path: Path) -> None:
    file = RefusedFile(path)
    for offset in range(5):
        file.add(Message(offset=offset), REFUSAL)
    with path.open("ab") as written:
        written.write(b"somebody's note\n")
    file.remove({alert.identity for alert in file if alert.offset in (1, 3)})
    assert [alert.offset for alert in RefusedFile(path)] == [0, 2, 4]
    assert b"somebody's note\n" in path.read_bytes()
    assert file.add(Message(offset=1), REFUSAL)


def test_nothing_to_take_out(path: Path) -> None:
    RefusedFile(path).remove({("topic", 0, 0, 0)})
    assert not path.exists()


def test_threads_add_and_take_out_at_once(path: Path) -> None:
    kept = RefusedFile(path)
    kept.add(Message(partition=99), REFUSAL)
    (accepted,) = kept

    def add(partition: int) -> None:
        file = RefusedFile(path)
        for offset in range(20):
            file.add(Message(partition=partition, offset=offset), REFUSAL)

    threads = [threading.Thread(target=add, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    RefusedFile(path).remove({accepted.identity})
    for thread in threads:
        thread.join()
    places = [(alert.partition, alert.offset) for alert in kept]
    assert sorted(places) == [(partition, offset) for partition in range(4) for offset in range(20)]
