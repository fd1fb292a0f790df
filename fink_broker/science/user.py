"""Science modules of the user's own: found by the name of an entry point, or by where they are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.science.module import Module

#: Group of entry points in which a package announces science modules.
GROUP = "fink_broker.science"


def user_module(name: str, config: Config) -> Module:
    """Return a module that is not ours.

    Parameters
    ----------
    name : str
        ``package.module:function``, or the name of an entry point of the group `GROUP` in an installed package. The
        function takes the configuration and returns a `Module`.
    config : Config
        The configuration.

    Raises
    ------
    ConfigError
        If there is none of that name, it cannot be imported, or the function returns something else.
    """
    try:
        module = _function(name)(config)
    except ConfigError:
        raise
    except Exception as error:  # foreign code: whatever it raises is told in one sentence
        raise ConfigError(
            f"The science module '{name}' cannot be made: {type(error).__name__}: {error}.",
            "Its function must take the configuration and return a fink_broker.science.module.Module.",
        ) from error
    if not isinstance(module, Module):
        raise ConfigError(
            f"The science module '{name}' gave a {type(module).__name__} instead of a Module.",
            "Its function must return a fink_broker.science.module.Module.",
        )
    return module


def announced() -> dict[str, EntryPoint]:
    """Return the entry points of installed packages that announce science modules, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def import_function(place: str, key: str) -> Callable[..., Any]:
    """Return the function at ``package.module:function``.

    Parameters
    ----------
    place : str
        Where it is.
    key : str
        The configuration key that names it, for the error.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    package, separator, function = place.partition(":")
    if not separator:
        raise ConfigError(f"{key} names '{place}', which is not of the form package.module:function.")
    try:
        found = getattr(import_module(package), function)
    except Exception as error:  # importing runs foreign code
        raise ConfigError(
            f"{key} names '{place}', which cannot be imported: {type(error).__name__}: {error}.",
            "Install the package into the same environment, or add its folder to PYTHONPATH.",
        ) from error
    if not callable(found):
        raise ConfigError(f"{key} names '{place}', which is no function.")
    return found


def _function(name: str) -> Callable[..., Any]:
    if ":" in name:
        return import_function(name, "science.user_modules")
    known = announced()
    if name not in known:
        raise ConfigError(
            f"science.user_modules names '{name}', which no installed package announces.",
            f"Announced are: {', '.join(sorted(known)) or 'none'}. Or give it as package.module:function.",
        )
    return known[name].load()
