"""The page on notifications: its examples work, and it names all there is."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from fink_broker.alert.survey import SURVEYS
from fink_broker.notify.notice import FIELDS
from fink_broker.notify.status import Counters
from fink_broker.notify.webhook import Entry, read_entry

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()
ENVIRON = {"SN_SLACK": "https://example.org/a", "KN_TELEGRAM": "https://example.org/b"}


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_examples(example: str) -> None:
    for table in tomllib.loads(re.sub(r"(?m)^   ", "", example))["webhook"]:
        assert read_entry(table, SURVEYS["ztf"], "fink_", ENVIRON).topics


def test_every_key_field_and_number_is_named() -> None:
    keys = {info.alias or name for name, info in Entry.model_fields.items()}
    numbers = {entry.name for entry in fields(Counters)} - {"begun", "updated"}
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", rows))
    assert keys | set(FIELDS) | numbers <= named
