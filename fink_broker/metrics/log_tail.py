"""The last lines of a log, without reading it all and without the secrets that may stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fink_broker.metrics.sample import LONGEST_LINE

HIDDEN = "***"
#: Read of a log from its end; lines beyond are not shown.
TAIL_BYTES = 128 * 1024
#: Shorter values of the environment are no secrets: they would hide words.
LEAST_SECRET = 6

#: Names of environment variables that hold secrets.
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|WEBHOOK|(^|_)(API_?)?KEYS?($|_)", re.IGNORECASE)
#: A variable that holds an address with a path may be one of a webhook, whatever its name.
_SECRET_ADDRESS = re.compile(r"https?://[^/\s]+/\S{6,}")
#: What is a secret wherever it stands: (before it, the secret).
_SECRETS = (
    re.compile(r"(\w://[^\s/@:]*:)([^\s/@]+)(?=@)"),
    re.compile(r"((?:authorization|bearer|basic)[\"']?\s*[:= ]\s*(?:bearer |basic )?)([\w.~+/=-]{8,})", re.IGNORECASE),
    re.compile(r"((?:\w*(?:password|passwd|secret|token|api_?key))[\"']?\s*[:=]\s*[\"']?)([^\s\"',;]+)", re.IGNORECASE),
    re.compile(r"(https?://(?:hooks\.slack\.com/services|api\.telegram\.org|discord(?:app)?\.com/api/webhooks)/)(\S+)"),
)
#: Colours and other orders to a terminal.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of environment variables that are secrets by their names, or addresses; longest first."""
    found = {
        text
        for name, text in environ.items()
        if len(text) >= LEAST_SECRET and (_SECRET_NAME.search(name) or _SECRET_ADDRESS.fullmatch(text))
    }
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without secrets: those given, and what looks like one (a password in a URL, a token)."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{HIDDEN}", text)
    return text


def last_lines(path: Path, count: int, secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the last lines of a log, each cut to a bounded length; none if it is not there.

    Parameters
    ----------
    path : Path
        The log.
    count : int
        How many lines.
    secrets : iterable of str
        From `secrets_of`; what looks like a secret is left out anyway.
    """
    if count <= 0:
        return ()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode("utf-8", "replace").split("\n")
    except OSError:
        return ()
    if size > TAIL_BYTES:
        lines = lines[1:]  # the first one lacks its beginning
    if lines and not lines[-1]:
        lines = lines[:-1]
    given = tuple(secrets)
    return tuple(_CONTROL.sub("", scrub(line, given))[:LONGEST_LINE] for line in lines[-count:])
