"""The tests of deployed servers, on a portal and on its API."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from web_portal import ServedPortal

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]


def test_a_portal_and_an_api_pass(web: ServedPortal) -> None:
    for url in (web.url, web.api_url):
        done = asked(url)
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout
        assert "skipped" not in done.stdout


def test_where_nothing_answers_one_sentence_says_so() -> None:
    done = asked("http://127.0.0.1:1")
    assert done.returncode == 1
    assert "Nothing answers at http://127.0.0.1:1" in done.stdout


def asked(url: str) -> subprocess.CompletedProcess[str]:
    """Run them on a server."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-cov",
        "-p",
        "no:cacheprovider",
        "tests/deployed",
        "--url",
        url,
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
