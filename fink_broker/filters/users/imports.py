"""How long imports of users' functions may take, and which of them are of one module."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from fink_broker.filters.users.functions import UserFunction, place_of

#: No import is begun with less time than this, or it would be taken for one that hangs.
LEAST_SECONDS = 0.5


class ImportTime:
    """What is left of the time for imports, from its making on.

    Parameters
    ----------
    seconds : float
        Time in all.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Do not count some seconds: they were spent on something else."""
        self._end += seconds

    def share(self, *, others_wait: bool) -> float:
        """Return how long the next import may take: half of what is left if others wait; 0 if too little is left."""
        left = self._end - time.monotonic()
        if left < LEAST_SECONDS:
            return 0.0
        return max(left / 2, LEAST_SECONDS) if others_wait else left


def module_of(function: UserFunction) -> str:
    """Return the module a function stands in."""
    return place_of(function.place)[0]


def others_wait(name: str, waiting: Iterable[str], functions: Mapping[str, UserFunction]) -> bool:
    """Return whether functions of another module than that of a function are still to be imported."""
    return any(module_of(functions[other]) != module_of(functions[name]) for other in waiting if other in functions)


def what_is_missing(module: str, function: UserFunction) -> str:
    """Return what to install for a module that is not there."""
    package = module.partition(".")[0].replace("_", "-")
    beside = f", or put {module.partition('.')[0]}.py into {function.folder}" if function.folder else ""
    return f"there is no module '{module}'; install it (pip install {package}){beside}, or add its folder to PYTHONPATH"
