"""The configuration: a file of the stand-alone client, or the ``fink:`` block of SkyPortal's own config.yaml.

Which one it is, is told by its keys. Both become the same `Settings`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, field_validator

Generation = Literal["microservice", "stand-alone"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

#: keys of the stand-alone client by the name of the setting; all must be there
STAND_ALONE = {
    "topics": "fink_topics",
    "username": "fink_username",
    "password": "fink_password",
    "group_id": "fink_group_id",
    "servers": "fink_servers",
    "skyportal_token": "skyportal_token",
    "skyportal_url": "skyportal_url",
    "group": "skyportal_group",
    "author": "skyportal_name",
    "testing": "testing",
    "whitelisted": "whitelisted",
}
#: keys of the block in SkyPortal's file that must be there, and others
MICROSERVICE = {"topics": "topics", "username": "client_id", "group_id": "client_group_id", "servers": "servers"}
MICROSERVICE_OPTIONAL = {
    "password": "client_secret",
    "poll_seconds": "maxtimeout",
    "testing": "testing",
    "schema_file": "schema",
    "whitelisted": "whitelisted",
    "skyportal_token": "skyportal_token",
    "skyportal_url": "skyportal_url",
    "author": "skyportal_name",
}
#: optional keys of either
COMMON = {name: name for name in ("connections", "requests_per_second", "save_sources", "refused_file")}
STAND_ALONE_OPTIONAL = {"survey": "survey"}
#: keys that must be there, and others
KEYS: Mapping[Generation, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "stand-alone": (STAND_ALONE, STAND_ALONE_OPTIONAL | COMMON),
    "microservice": (MICROSERVICE, MICROSERVICE_OPTIONAL | COMMON),
}

#: settings the environment can give; it comes before the file
ENVIRONMENT = {
    "password": "FINK_PASSWORD",
    "skyportal_token": "FINK_SKYPORTAL_TOKEN",
    "skyportal_url": "FINK_SKYPORTAL_URL",
}
#: where SkyPortal writes the token of its administrator, beside its config.yaml
TOKENS_FILE = ".tokens.yaml"
#: name of the file of refused alerts, if none is told
REFUSED_FILE = Path("fink_refused.jsonl")

#: what a setting must be
HINTS = {
    "topics": "a list of topics, such as [fink_sn_candidates_ztf]",
    "servers": "the address of Kafka, host:port, several separated by commas",
    "username": "the user of Kafka, or null",
    "password": "the password of Kafka, or null",
    "group_id": "the name of a consumer group, of your choice",
    "poll_seconds": "a number of seconds from 1 to 3600",
    "skyportal_url": "the address of SkyPortal, such as http://localhost:5000",
    "skyportal_token": "a token from your profile in SkyPortal",
    "group": "the name of a group in SkyPortal, such as Fink",
    "author": "the name of the user who owns the token",
    "whitelisted": "true or false",
    "requests_per_second": "a number above 0",
    "connections": "a number from 1 to 64",
    "save_sources": "new, always or never",
    "refused_file": "the name of a file",
    "survey": "ztf; alerts of Rubin are not handled yet",
    "testing": "true or false",
    "schema_file": "the name of a file",
}


class ConfigurationError(Exception):
    """A configuration that cannot be used; one sentence says what is wrong and how to mend it."""


class TokenMissing(ConfigurationError):
    """SkyPortal's own configuration names no token, and SkyPortal has not written one yet."""


class Settings(BaseModel):
    """What the client is told.

    Parameters
    ----------
    generation : {"microservice", "stand-alone"}
        Whose file it was, and hence whose rules hold.
    topics : tuple of str
        Topics to read.
    servers : str
        Addresses of Kafka, ``host:port``, separated by commas.
    username, password : str, optional
        For Kafka; both or none are used.
    group_id : str
        Consumer group.
    poll_seconds : float
        How long an alert is waited for before the log says that none came.
    skyportal_url : str
        Address of SkyPortal, ``http://host:port``.
    skyportal_token : str
        Its token.
    group : str
        The group of SkyPortal that receives the alerts.
    author : str
        The user who owns the token; empty if not told.
    whitelisted : bool
        Whether SkyPortal does not limit the rate of requests.
    requests_per_second : float
        Requests a second where it does.
    connections : int
        Objects posted side by side.
    save_sources : {"new", "always", "never"}
        Whether objects are saved as sources of the group: when first seen, with each alert, or not at all.
    refused_file : Path
        Where alerts are kept that cannot be posted.
    survey : {"ztf"}
        Whose alerts are read.
    testing : bool
        Kept for earlier files, without effect: messages carry their schema, so test messages need no other reader.
    schema_file : str, optional
        Likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    generation: Generation
    topics: tuple[Text, ...] = Field(min_length=1)
    servers: Text
    username: Text | None = None
    password: SecretStr | None = None
    group_id: Text
    poll_seconds: float = Field(5.0, gt=0, le=3600)
    skyportal_url: str = Field(pattern=r"^https?://[^\s/]+", repr=False)  # it may hold a password
    skyportal_token: SecretStr = Field(min_length=1)
    group: Text = "Fink"
    author: str = ""
    whitelisted: bool = False
    requests_per_second: float = Field(5.0, gt=0)
    connections: int = Field(8, ge=1, le=64)
    save_sources: Literal["new", "always", "never"] = "new"
    refused_file: Path
    survey: Literal["ztf"] = "ztf"
    testing: bool = False
    schema_file: str | None = None

    @field_validator("topics")
    @classmethod
    def _each_once(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(topics))

    @field_validator("skyportal_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")


@dataclass(frozen=True)
class Loaded:
    """A file that was read.

    Parameters
    ----------
    settings : Settings or None
        What it says; None if it is SkyPortal's and has no ``fink:`` block, or an empty one.
    notices : tuple of str
        What its writer should know, such as unknown keys.
    """

    settings: Settings | None
    notices: tuple[str, ...] = ()


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read a configuration.

    Parameters
    ----------
    path : Path
        The file.
    environ : mapping
        The environment; what it says comes before the file (`ENVIRONMENT`).

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a key is missing or wrong.
    """
    document = _read(path)
    if any(key in document for key in STAND_ALONE.values() if key.startswith(("fink_", "skyportal_"))):
        return _loaded(path, "stand-alone", document, {}, environ)
    block = document.get("fink") or {}
    if not isinstance(block, dict):
        raise ConfigurationError(f"{path}: fink must be a block; write client_id and the other keys indented below it.")
    if not block:
        return Loaded(None)
    around = {"poll_seconds": 10.0, **_of_skyportal(document, path.parent)}
    return _loaded(path, "microservice", block, around, environ)


def _loaded(
    path: Path,
    generation: Generation,
    found: Mapping[str, Any],
    around: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Loaded:
    required, optional = KEYS[generation]
    given = {name: found[key] for name, key in required.items() if key in found}
    given |= {name: found[key] for name, key in optional.items() if found.get(key) is not None}
    told = {name: variable for name, variable in ENVIRONMENT.items() if environ.get(variable)}
    values = {**around, **given, **{name: environ[variable] for name, variable in told.items()}}
    if missing := [key for name, key in required.items() if name not in values]:
        raise ConfigurationError(f"{path} lacks {', '.join(missing)}; config.yaml.example shows every key.")
    if "skyportal_token" not in values:
        raise TokenMissing(
            f"{path}: there is no token of SkyPortal; set FINK_SKYPORTAL_TOKEN, or start SkyPortal, which writes one "
            f"to {TOKENS_FILE} beside its config.yaml."
        )
    names = {**required, **optional, **told}
    try:
        settings = Settings(refused_file=values.pop("refused_file", REFUSED_FILE), generation=generation, **values)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error, names, path)) from None  # it would show values, secrets too
    settings = settings.model_copy(update={"refused_file": path.parent / settings.refused_file})
    return Loaded(settings, tuple(_notices(path, found, (*required.values(), *optional.values()), settings)))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); name the configuration with --config."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}{where} is not YAML; compare it with config.yaml.example.") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} holds no keys; compare it with config.yaml.example.")
    return document


def _of_skyportal(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what SkyPortal's own configuration says about where it listens and its administrator's token."""
    server = document.get("server")
    server = server if isinstance(server, dict) else {}
    scheme, host, port = ("https" if server.get("ssl") else "http"), server.get("host"), server.get("port")
    around = {"skyportal_url": f"{scheme}://{host or 'localhost'}:{port or 5000}"}
    try:
        tokens = yaml.safe_load((folder / TOKENS_FILE).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return around
    token = tokens.get("INITIAL_ADMIN") if isinstance(tokens, dict) else None
    return {**around, "skyportal_token": token} if token else around


def _sentence(error: ValidationError, names: Mapping[str, str], path: Path) -> str:
    """Return what is wrong with the first wrong key; never a value, which may be a secret."""
    first = error.errors(include_url=False, include_input=True, include_context=False)[0]
    name = str(first["loc"][0])
    is_empty = first["input"] is None or first["input"] == [] or not str(first["input"]).strip()
    return f"{path}: {names.get(name, name)} {'is empty' if is_empty else 'is wrong'}; it must be {HINTS[name]}."


def _notices(path: Path, found: Mapping[str, Any], known: Sequence[str], settings: Settings) -> Iterator[str]:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            yield f"{path}: {key} is not a key of this client" + (f"; do you mean {near[0]}?" if near else ".")
    if settings.testing or settings.schema_file is not None:
        yield f"{path}: testing and schema have no effect, as every message carries its schema: alerts are posted."
    if settings.password and not settings.username:
        yield f"{path}: the password of Kafka has no effect, as there is no user."
