from __future__ import annotations

import tomllib

import pytest
from typer.testing import CliRunner

from fink_broker.cli.app import app
from fink_broker.portal.keys import digest_of


def test_a_key_is_shown_apart_from_what_belongs_into_the_file() -> None:
    result = CliRunner().invoke(app, ["api", "key", "sky portal", "--per-minute", "5"])
    assert result.exit_code == 0
    (entry,) = tomllib.loads(result.stdout)["key"]
    (key,) = [line for line in result.stderr.splitlines() if line.startswith("fink_")]
    assert entry["sha256"] == digest_of(key)
    assert (entry["name"], entry["per_minute"]) == ("sky portal", 5)
    assert key not in result.stdout


@pytest.mark.parametrize("name", ['a"\nper_day = 0', "", "x" * 100])
def test_a_name_that_would_damage_the_file_is_refused(name: str) -> None:
    result = CliRunner().invoke(app, ["api", "key", "--", name])
    assert result.exit_code != 0
    assert result.stdout == ""
