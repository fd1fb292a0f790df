"""``conf/fink.conf``, written from the model: every key with its meaning and default.

python -m fink_broker.config.template > conf/fink.conf
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fink_broker.config.model import Config

_HEAD = """\
# The broker on one machine, with its own embedded Kafka. Every key stands here with its default; change what you need.
# `fink config show` prints what is in force. ${NAME} is replaced by an environment variable; FINK_HOME is always set.
# FINK__SECTION__KEY in the environment overrides a key. Secrets are taken from the environment only:
# FINK_KAFKA_USERNAME, FINK_KAFKA_PASSWORD, FINK_DISTRIBUTION_USERNAME, FINK_DISTRIBUTION_PASSWORD;
# the password of `fink user add`: FINK_USER_PASSWORD; addresses of webhooks: what the topics file names;
# the portal's key where the API asks for keys: FINK_PORTAL_API_KEY; the token of those who may write: FINK_API_TOKEN;
# the password of the TOM's user admin, when it is made: FINK_TOM_PASSWORD.
"""
_LONG_LIST = 90


def render() -> str:
    """Return the text of the file."""
    lines = [_HEAD]
    for name, field in Config.model_fields.items():
        default = field.get_default()
        if not isinstance(default, BaseModel):
            lines += [*_comment(field.description), f"{name} = {_toml(default)}", ""]
            continue
        lines.append(f"[{name}]  # {(type(default).__doc__ or '').splitlines()[0]}")
        for key, inner in type(default).model_fields.items():
            lines += [*_comment(inner.description), f"{key} = {_toml(getattr(default, key))}"]
        lines.append("")
    return "\n".join(lines)


def _comment(text: str | None) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text or "", 100)]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        text = str(value)
        return f"'{text}'" if "\\" in text else json.dumps(text, ensure_ascii=False)
    if isinstance(value, list):
        line = f"[{', '.join(map(_toml, value))}]"
        return line if len(line) < _LONG_LIST else "[\n" + "".join(f"    {_toml(item)},\n" for item in value) + "]"
    return "{}" if isinstance(value, dict) else repr(value)


if __name__ == "__main__":
    print(render(), end="")
