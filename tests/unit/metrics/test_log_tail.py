"""The last lines of a log: few of them, whole, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink_broker.metrics.log_tail import TAIL_BYTES, last_lines, scrub, secrets_of


def test_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("one\ntwo\n\x1b[31mthree\x1b[0m\x07\n")
    assert last_lines(log, 2) == ("two", "three")
    assert last_lines(log, 0) == ()
    assert last_lines(tmp_path / "none", 5) == ()
    assert last_lines(tmp_path, 5) == ()


def test_a_long_log_is_read_from_its_end_and_no_line_lacks_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {number} " + 95 * "x" + "\n" for number in range(20_000)))
    lines = last_lines(log, 10_000)
    assert len(lines) > 0.9 * TAIL_BYTES / 110
    assert all(line.startswith("line ") for line in lines)
    assert lines[-1].startswith("line 19999 ")
    log.write_bytes(b"\xff" * (3 * TAIL_BYTES))
    assert last_lines(log, 5) == ()


@pytest.mark.parametrize(
    "text",
    [
        "connecting to http://me:s3cr3tword@host:80/x",
        "sasl.password=s3cr3tword, user me",
        '{"password": "s3cr3tword"}',
        "FINK_API_TOKEN: s3cr3tword",
        "Authorization: Bearer s3cr3tword",
        "api_key = 's3cr3tword'",
        "POST https://hooks.slack.com/services/T0/B0/s3cr3tword failed",
        "POST https://api.telegram.org/bot12:s3cr3tword/sendMessage failed",
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str) -> None:
    assert "s3cr3tword" not in scrub(text)
    assert "***" in scrub(text)


def test_values_of_the_environment_that_are_secrets_are_left_out(tmp_path: Path) -> None:
    environ = {"FINK_KAFKA_PASSWORD": "correct horse", "SN_SLACK": "https://x/y/z1234567", "PATH": "/usr/bin"}
    (tmp_path / "x.log").write_text("said correct horse to https://x/y/z1234567 from /usr/bin\n")
    assert last_lines(tmp_path / "x.log", 1, secrets_of(environ)) == ("said *** to *** from /usr/bin",)
    assert secrets_of({"FINK_X_PASSWORD": "", "MY_TOKEN": "abc"}) == ()


def test_what_is_no_secret_stays() -> None:
    text = "2024-01-01 12:00:00 531 alerts in, 400 science (topics-1234) https://host:80/api/v1/objects?objectId=ZTF1"
    assert scrub(text) == text
