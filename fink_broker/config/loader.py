"""Load the configuration: defaults, then a file, then the environment; every value keeps its origin."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fink_broker.config.classic import is_classic, read_classic
from fink_broker.config.model import Config
from fink_broker.config.values import Setting, expand, suggestion
from fink_broker.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = "FINK__"
_SECRET = re.compile(r"password|secret|token|username|api_key", re.IGNORECASE)


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration, the file it came from, and the origin of each value.

    Parameters
    ----------
    config : Config
        What is in force.
    path : Path
        The file that was read.
    kind : {"toml", "classic"}
        What kind of file it is.
    origin : dict
        Dotted key → ``default``, ``fink.conf line 12`` or ``environment FINK__STREAM__TRIGGER_SECONDS``.
    notices : list of str
        What the user should know, such as keys of a classic file that have no effect.
    """

    config: Config
    path: Path
    kind: Literal["toml", "classic"]
    origin: dict[str, str]
    notices: list[str] = field(default_factory=list)


def fink_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return FINK_HOME: from the environment, else the folder of the installation."""
    return Path(environ["FINK_HOME"]) if environ.get("FINK_HOME") else REPOSITORY


def load_config(
    path: Path | None = None, *, environ: Mapping[str, str] = os.environ, simulator: bool = False
) -> LoadedConfig:
    """Load a configuration file, or ``${FINK_HOME}/conf/fink.conf``.

    Parameters
    ----------
    path : Path, optional
        The file; TOML, or a classic ``KEY=value`` file.
    environ : mapping
        Environment variables; ``FINK__SECTION__KEY`` override the file.
    simulator : bool
        Read what the simulator writes.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key is unknown or wrong; names the key, its line, and what was expected.
    """
    home = fink_home(environ)
    file = path or _default_file(home)
    text = _read(file)
    variables = {**environ, "FINK_HOME": str(home)}
    notices: list[str] = []
    kind: Literal["toml", "classic"] = "classic" if is_classic(text) else "toml"
    if kind == "classic":
        classic = read_classic(text, file, variables)
        settings, notices = classic.settings, classic.notices
    else:
        settings = _read_toml(text, file)
    settings |= _from_environment(environ)
    given = {key: Setting(expand(s.value, variables, s.origin), s.origin) for key, s in settings.items()}
    for key, value in _defaults().items():
        given.setdefault(key, Setting(expand(value, variables, "default"), "default"))
    config = _validate(given)
    origin = {key: setting.origin for key, setting in given.items()}
    return LoadedConfig(config.for_simulator() if simulator else config, file, kind, origin, notices)


def _default_file(home: Path) -> Path:
    there = home / "conf" / "fink.conf"
    return there if there.is_file() else REPOSITORY / "conf" / "fink.conf"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {file}.", "Name one with -c.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration file {file} is not text in UTF-8.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration file {file} cannot be read: {error}.") from error


def _read_toml(text: str, file: Path) -> dict[str, Setting]:
    """Return the settings of a TOML file by dotted key, each with its line; all keys are known."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        hint = 'Text stands in quotes: key = "value".'
        raise ConfigError(f"{file.name} is not well-formed: {error}.", hint) from None
    lines = _lines(text)
    settings: dict[str, Setting] = {}
    for section, value in content.items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        for name, entry in entries:
            key = f"{section}.{name}" if name else section
            _check_known(key, f"{file.name} line {lines.get(key, lines.get(section, 1))}")
            settings[key] = Setting(entry, f"{file.name} line {lines.get(key, lines.get(section, 1))}")
        if section not in Config.model_fields:
            _check_known(section, f"{file.name} line {lines.get(section, 1)}")
    return settings


def _lines(text: str) -> dict[str, int]:
    """Return the line number of each key and section header of a TOML file."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([\w.]+)\]", line):
            section = header[1]
            first, _, rest = section.partition(".")
            lines.setdefault(first, number)
            if rest:
                lines.setdefault(section, number)
        elif key := re.match(r'\s*([\w."]+)\s*=', line):
            name = key[1].replace('"', "").split(".")[0] if section else key[1]
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def _check_known(key: str, where: str) -> None:
    """Raise ConfigError for a key the model does not have."""
    if key in _defaults():
        return
    if key in Config.model_fields:
        raise ConfigError(f"{where}: {key} is a section, not a key.", f"Write [{key}], and its keys below it.")
    section, _, name = key.partition(".")
    if _SECRET.search(name or section):
        names = "FINK_KAFKA_… or FINK_DISTRIBUTION_USERNAME and …_PASSWORD"
        raise ConfigError(f"{where}: {key} looks like a secret, which must not stand in a file.", f"Set {names}.")
    known = [*_defaults(), *Config.model_fields]
    within = [entry for entry in known if entry.startswith(f"{section}.")] or known
    raise ConfigError(f"{where}: there is no key {key}.", suggestion(key, within) or "`fink config show` lists all.")


def _from_environment(environ: Mapping[str, str]) -> dict[str, Setting]:
    settings = {}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT):
            continue
        key = name.removeprefix(ENVIRONMENT).lower().replace("__", ".")
        if key not in _defaults():
            raise ConfigError(f"environment {name}: there is no key {key}.", suggestion(key, _defaults()))
        settings[key] = Setting(_value(text), f"environment {name}")
    return settings


def _value(text: str) -> Any:
    """Return a value of the environment: TOML where it is, text otherwise."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, KeyError):
        return text


def _defaults() -> dict[str, Any]:
    """Return every key of the model with its default."""
    defaults: dict[str, Any] = {}
    for section, field_info in Config.model_fields.items():
        value = field_info.get_default()
        if isinstance(value, BaseModel):
            for name in type(value).model_fields:
                entry = getattr(value, name)
                defaults[f"{section}.{name}"] = str(entry) if isinstance(entry, Path) else entry
        else:
            defaults[section] = value
    return defaults


def field_of(key: str) -> FieldInfo:
    """Return the model's field of a dotted key."""
    section, _, name = key.partition(".")
    info = Config.model_fields[section]
    return type(info.get_default()).model_fields[name] if name else info


def _validate(given: dict[str, Setting]) -> Config:
    raw: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for key, setting in given.items():
        *sections, name = key.split(".", 2) if key.startswith("spark.options.") else key.split(".", 1)
        level = raw
        for section in sections:
            level = level.setdefault(section, {})
        if isinstance(level.get(name), dict) and isinstance(setting.value, dict):
            level[name] |= setting.value
        else:
            level[name] = setting.value
        origin[key] = setting.origin
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"]]
        key = ".".join(parts[:2])
        where = origin.get(".".join(parts), origin.get(key, "the configuration"))
        raise ConfigError(f"{where}: {key} is {first['input']!r}: {_expected(first)}.", _hint(key)) from None


def _expected(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _hint(key: str) -> str:
    try:
        description = field_of(key).description
    except (KeyError, AttributeError):
        return ""
    return f"It is: {description}." if description else ""
