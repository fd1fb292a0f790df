"""Secrets: from the environment only, never from a file, never printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fink_broker.errors import ConfigError


@dataclass(frozen=True)
class Credentials:
    """A user name and a password; the password does not show when printed."""

    username: str
    password: str = field(repr=False)


def kafka_credentials(environ: Mapping[str, str]) -> Credentials | None:
    """Return who we are at the input Kafka (``FINK_KAFKA_USERNAME``, ``FINK_KAFKA_PASSWORD``)."""
    return _credentials("FINK_KAFKA", environ)


def distribution_credentials(environ: Mapping[str, str]) -> Credentials | None:
    """Return who we are at the output Kafka (``FINK_DISTRIBUTION_USERNAME``, ``FINK_DISTRIBUTION_PASSWORD``)."""
    return _credentials("FINK_DISTRIBUTION", environ)


def _credentials(prefix: str, environ: Mapping[str, str]) -> Credentials | None:
    names = (f"{prefix}_USERNAME", f"{prefix}_PASSWORD")
    given = [name for name in names if environ.get(name)]
    if not given:
        return None
    if len(given) == 1:
        (missing,) = set(names) - set(given)
        raise ConfigError(f"{given[0]} is set but {missing} is not.", "Set both in the environment, or neither.")
    return Credentials(environ[names[0]], environ[names[1]])
