"""Arguments of ``fink start <service>``: each stands for a configuration key, which the help names."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, NoReturn, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fink_broker.config.model import Config
from fink_broker.errors import UsageError
from fink_broker.service.catalogue import COMMON, Argument, Service


@dataclass(frozen=True)
class StartArguments:
    """What ``fink start <service>`` was given.

    Parameters
    ----------
    conf : str or None
        Configuration file.
    simulator : bool
        Whether to read what the simulator writes.
    detach : bool
        Whether to run in the background.
    help : bool
        Whether only help is wanted.
    overrides : dict of str to str
        Values of configuration keys.
    """

    conf: str | None
    simulator: bool
    detach: bool
    help: bool
    overrides: dict[str, str]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}.", f"Try `{self.prog} -h`.")


def parse(service: Service, arguments: list[str]) -> StartArguments:
    """Read the arguments of a service.

    Raises
    ------
    UsageError
        If one is unknown or lacks its value.
    """
    parser = _Parser(prog=f"fink start {service.name}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-c", "--conf", "-conf")
    parser.add_argument("--simulator", action="store_true")
    parser.add_argument("--detach", action="store_true")
    for number, argument in enumerate(_arguments(service)):
        parser.add_argument(*argument.flags, dest=f"key{number}")
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown argument {unknown[0]}")
    values = {a.key: getattr(known, f"key{number}") for number, a in enumerate(_arguments(service))}
    return StartArguments(
        conf=known.conf,
        simulator=known.simulator,
        detach=known.detach,
        help=known.help,
        overrides={key: value for key, value in values.items() if value is not None},
    )


def apply(config: Config, overrides: dict[str, str]) -> Config:
    """Return the configuration with the values of the command line.

    Raises
    ------
    UsageError
        If a value is of the wrong type or out of range.
    """
    if not overrides:
        return config
    raw = config.model_dump()
    for key, value in overrides.items():
        *section, name = key.split(".")
        (raw[section[0]] if section else raw)[name] = value
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{key} cannot be {first['input']!r}: {first['msg']}.") from None


def help_of(service: Service) -> str:
    """Return the help of ``fink start <service>``."""
    rows = [
        ("-h, --help", "print this help"),
        ("-c, --conf CONF", "configuration file; ${FINK_HOME}/conf/fink.conf if not given"),
        ("--simulator", "read the topic the simulator writes [simulator.servers, simulator.topic]"),
        ("--detach", "run in the background; the log is what `fink logs` prints [storage.state]"),
    ]
    rows += [_row(argument) for argument in _arguments(service)]
    width = max(len(flags) for flags, _ in rows) + 2
    lines = [f"fink start {service.name}: {service.purpose}", "", "Arguments, with the configuration key of each:"]
    return "\n".join(lines + [f"  {flags:<{width}}{text}" for flags, text in rows])


def _arguments(service: Service) -> tuple[Argument, ...]:
    return (*COMMON, *service.arguments)


def _row(argument: Argument) -> tuple[str, str]:
    field = _field(argument.key)
    choices = get_args(field.annotation)
    value = "|".join(map(str, choices)) if choices else argument.key.rpartition(".")[2].upper()
    flags = f"{', '.join(argument.flags)} {value}"
    default = field.get_default()
    shown = f"; default {default}" if default not in ("", None) else ""
    return flags, f"{field.description} [{argument.key}{shown}]"


def _field(key: str) -> FieldInfo:
    model: Any = Config
    *sections, name = key.split(".")
    for section in sections:
        model = model.model_fields[section].annotation
    found: FieldInfo = model.model_fields[name]
    return found
