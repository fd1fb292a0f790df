"""The process of users' functions: it imports them, calls them on batches, and says what they said.

It is started by `fink_broker.filters.users.process`. Requests come in by its standard input, answers leave by its
standard output; what functions print goes to standard error. It ends when the broker does, whatever that died of.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.users import frames
from fink_broker.filters.users.functions import GROUP, place_of
from fink_broker.filters.users.isolation import WrongAnswer, isolate, told
from fink_broker.filters.users.pandas_columns import arguments_from, truth_values

#: The part of the time left that may go into finding the alerts it raises on.
ISOLATION_SHARE = 0.3


def main(life: int, memory_bytes: int) -> None:
    """Answer requests until there are no more.

    Parameters
    ----------
    life : int
        A pipe that closes when the broker ends.
    memory_bytes : int
        The most memory this process may ask for.
    """
    _end_with(life)
    _limit(memory_bytes)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    functions: dict[str, Callable[..., Any]] = {}
    _write(answers, {"started": os.getpid()})
    while (request := frames.read(requests)) is not None:
        message, payload = request
        if message["do"] == "load":
            _write(answers, _load(message, functions))
        else:
            _judge(message, payload, functions, answers)


def _write(stream: BinaryIO, message: frames.Message, payload: bytes = b"") -> None:
    for text in (sys.stdout, sys.stderr):
        if text is not None:
            text.flush()  # what was printed is there when the answer is
    for piece in frames.packed(message, payload):
        stream.write(piece)
    stream.flush()


def _load(message: frames.Message, functions: dict[str, Callable[..., Any]]) -> frames.Message:
    """Import a function, and say which arguments it takes."""
    name = message["name"]
    if message["folder"] and message["folder"] not in sys.path:
        sys.path.append(message["folder"])
    invalidate_caches()
    try:
        functions[name] = _function(message["place"])
        return {"name": name, "arguments": _arguments(functions[name])}
    except ModuleNotFoundError as error:
        return {"name": name, "error": f"there is no module '{error.name}'", "missing": error.name or ""}
    except BaseException as error:  # importing runs foreign code: whatever it raises is told
        return {"name": name, "error": told(error)}


def _function(place: str) -> Callable[..., Any]:
    if "." not in place and ":" not in place:
        entry = next(iter(entry_points(group=GROUP, name=place)), None)
        if entry is None:
            raise LookupError(f"no installed package announces '{place}' in the group {GROUP}")
        place = entry.value
    module, function = place_of(place)
    found: Any = import_module(module)
    for part in function.split("."):
        found = getattr(found, part)
    if hasattr(found, "evalType") and hasattr(found, "func"):
        found = found.func  # a function made for Spark: the plain one inside of it
    if not callable(found):
        raise TypeError(f"{place} is no function")
    return found


def _arguments(function: Callable[..., Any]) -> list[list[Any]]:
    """Return name and whether it is required of each argument."""
    found = []
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is argument.VAR_POSITIONAL or argument.kind is argument.POSITIONAL_ONLY:
            raise TypeError(f"its argument '{argument.name}' cannot be given by name")
        if argument.kind is not argument.VAR_KEYWORD:
            found.append([argument.name, argument.default is argument.empty])
    if not found:
        raise TypeError("it takes no argument: name the columns it needs")
    return found


def _judge(
    message: frames.Message, payload: bytes, functions: dict[str, Callable[..., Any]], answers: BinaryIO
) -> None:
    with pa.ipc.open_stream(pa.py_buffer(payload)) as stream:
        table = stream.read_all()
    _write(answers, {"ready": len(table)})
    end = time.perf_counter() + message["seconds"]
    for wanted in message["functions"]:
        name, inputs = wanted["name"], wanted["inputs"]
        started = time.perf_counter()
        left = max(0.0, end - started)
        passed, failed, error = _call(functions[name], table, inputs, left * ISOLATION_SHARE)
        answer = {"name": name, "seconds": time.perf_counter() - started, "error": error}
        _write(answers, answer, passed.tobytes() + failed.tobytes())


def _call(
    function: Callable[..., Any], table: pa.Table, inputs: dict[str, list[str]], seconds: float
) -> tuple[Mask, Mask, str]:
    """Return what a function says of a batch: passed, failed, and why it failed."""

    def judge(first: int, last: int) -> Mask:
        part = table.slice(first, last - first)
        try:
            return truth_values(function(**arguments_from(part, inputs)), len(part))
        except Exception:
            raise
        except BaseException as error:  # sys.exit() and the like are failures as others are
            raise RuntimeError(told(error)) from error

    nothing, everything = np.zeros(len(table), dtype=bool), np.ones(len(table), dtype=bool)
    try:
        return judge(0, len(table)), nothing, ""
    except WrongAnswer as error:
        return nothing, everything, str(error)
    except Exception as error:  # foreign code may raise anything
        return *isolate(judge, len(table), seconds), f"it raised {told(error)}"


def _end_with(life: int) -> None:
    """End this process, and what it started, at once when the broker has gone."""
    if hasattr(fcntl, "F_SETSIG"):  # Linux: the kernel does it, even while a function holds the interpreter
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)

    def wait() -> None:
        os.read(life, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _limit(memory_bytes: int) -> None:
    """Bound the memory, write no core files, and be the first to go when the machine runs out of memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        Path("/proc/self/oom_score_adj").write_text("1000")
    except (OSError, ValueError):
        print("The memory of users' filters cannot be bounded on this system.", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
