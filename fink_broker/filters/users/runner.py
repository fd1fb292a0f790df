"""Runs users' functions on batches in a process that is replaced when a function hangs in it or brings it down."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from fink_broker.errors import ConfigError
from fink_broker.filters.users.answer import Answer, Cause, Loss
from fink_broker.filters.users.arguments import Argument
from fink_broker.filters.users.frames import Gone, Message, Silence
from fink_broker.filters.users.functions import UserFunction, place_of
from fink_broker.filters.users.process import Process

log = logging.getLogger(__name__)

#: Address space of the process: a function that asks for more gets a MemoryError.
MEMORY_BYTES = 8 << 30
#: Time an import may take: packages of astronomy are large.
IMPORT_SECONDS = 30.0
#: Time the process may take to start, and to take in a batch.
START_SECONDS = 30.0
#: What comes through late by no fault of the function.
_SLACK_SECONDS = 0.25
#: How often a batch is given to a new process if the old one dies before any function has begun.
MOST_STALLS = 2

#: For each argument of a function the columns it stands for.
Inputs = Mapping[str, Sequence[str]]


class Runner:
    """Users' functions and the process they run in.

    Parameters
    ----------
    functions : mapping of str to UserFunction
        By the names of their filters.
    seconds : float
        Time a function may take on a batch.
    import_seconds : float
        Time its import may take.
    memory_bytes : int
        The most memory the process may ask for.

    Attributes
    ----------
    arguments : dict of str to tuple of Argument
        What each function that could be imported takes.
    lost : dict of str to Loss
        Functions that could not be imported, hung, or crashed, and what happened.
    """

    def __init__(
        self,
        functions: Mapping[str, UserFunction],
        seconds: float = 2.0,
        import_seconds: float = IMPORT_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._functions = dict(functions)
        self._seconds, self._import_seconds, self._memory = seconds, import_seconds, memory_bytes
        self._process: Process | None = None
        self._inputs: dict[str, Inputs] = {}
        self._batch: memoryview | bytes = b""
        self._rows = 0
        self._sent = False
        self.arguments: dict[str, tuple[Argument, ...]] = {}
        self.lost: dict[str, Loss] = {}

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id, None while there is no process."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def drop(self, name: str) -> None:
        """Leave a function out from here on."""
        self._functions.pop(name, None)
        self.arguments.pop(name, None)

    def load(self) -> None:
        """Start the process, and import every function; one that cannot be is in ``lost`` afterwards."""
        self._sent = False
        waiting = list(self._functions)
        starts = 0
        while waiting:
            process = self._process or self._start()
            if process is None:
                starts += 1
                if starts < MOST_STALLS:
                    continue
                for name in waiting:
                    self._lose(name, Loss("raised", "the process for users' functions cannot be started"))
                return
            name = waiting.pop(0)
            if name not in self._functions:
                continue  # its module has hung or crashed with another function
            try:
                answer = self._import(process, name)
            except (Silence, Gone) as error:
                what = self._fate(error, f"its import took more than {self._import_seconds:g} s")
                self._lose_module(name, _loss(error, what))
                waiting = list(self._functions)
                continue
            self._take(name, answer)

    def check_loaded(self, name: str) -> None:
        """See whether a function has been imported.

        Raises
        ------
        ConfigError
            If not, with the reason.
        """
        if name in self.lost:
            raise ConfigError(f"The function {name} cannot be used: {self.lost[name].reason}.")

    def send(self, columns: pa.Table, inputs: Mapping[str, Inputs]) -> None:
        """Give the process a batch to work on; it does not wait for the answers.

        Parameters
        ----------
        columns : pyarrow.Table
            Columns by path.
        inputs : mapping
            For each function wanted, for each of its arguments, the columns it stands for.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, columns.schema) as stream:
            stream.write_table(columns)
        self._batch, self._rows = memoryview(sink.getvalue()), len(columns)
        self._inputs = {name: wanted for name, wanted in inputs.items() if name in self._functions}
        self._try_to_send()

    def collect(self) -> Iterator[Answer]:
        """Give the answers to the last batch as they come in; a function that hangs costs its time, once."""
        pending = list(self._inputs)
        stalls = 0
        while pending:
            try:
                self._wait_until_ready()
                yield from self._answers(pending)
            except (Silence, Gone) as error:  # before any function began
                what, stalls = self._fate(error, "its process did not take the batch in time"), stalls + 1
            if pending and stalls < MOST_STALLS:
                yield from self._go_on(pending)
                pending = [name for name in pending if name in self._functions]
            elif pending:
                yield from (self._failure(name, "raised", what) for name in pending)
                break
        self._sent = False

    def _answers(self, pending: list[str]) -> Iterator[Answer]:
        """Give answers, each then no longer pending, until all have come or a function has ended the process."""
        while pending:
            name = pending[0]
            try:
                answer = self._receive(name)
            except (Silence, Gone) as error:
                loss = _loss(error, self._fate(error, f"it took more than {self._seconds:g} s"))
                self._lose(name, loss)
                answer = self._failure(name, loss.cause, loss.reason)
            pending.pop(0)
            yield answer
            if answer.cause in ("slow", "crashed"):
                return

    def _go_on(self, pending: list[str]) -> Iterator[Answer]:
        """Start anew with the functions that have not answered yet; those lost on the way answer so."""
        self._inputs = {name: self._inputs[name] for name in pending}
        if not pending:
            return
        self.load()
        for name in pending:
            if name not in self._functions:
                yield self._failure(name, self.lost[name].cause, self.lost[name].reason)
        self._inputs = {name: wanted for name, wanted in self._inputs.items() if name in self._functions}
        self._try_to_send()

    def _start(self) -> Process | None:
        """Start a process, and wait until it is there; None if it does not come."""
        try:
            self._process = Process(self._memory)
            self._process.receive(START_SECONDS)
        except OSError as error:  # no room for another process
            log.warning("The process for users' filters does not start: %s.", error)
        except (Silence, Gone) as error:
            log.warning("The process for users' filters does not start: %s.", self._fate(error, "it is silent"))
        return self._process

    def _import(self, process: Process, name: str) -> Message:
        function = self._functions[name]
        process.send({"do": "load", "name": name, "place": function.place, "folder": function.folder})
        return process.receive(self._import_seconds)[0]

    def _take(self, name: str, answer: Message) -> None:
        if "arguments" in answer:
            self.arguments[name] = tuple(Argument(str(entry[0]), bool(entry[1])) for entry in answer["arguments"])
        elif "missing" in answer:
            self._lose(name, Loss("raised", _missing(str(answer["missing"]), self._functions[name])))
        else:
            self._lose(name, Loss("raised", f"it cannot be imported: {answer.get('error', 'it gave no reason')}"))

    def _try_to_send(self) -> None:
        """Send the batch; where that fails, the wait for the answers finds out."""
        if not self._inputs:
            return
        if self._process is None:
            self.load()
        wanted = [{"name": name, "inputs": dict(inputs)} for name, inputs in self._inputs.items()]
        message: Message = {"do": "judge", "functions": wanted, "seconds": self._seconds}
        self._sent = False
        if self._process is not None:
            try:
                self._process.send(message, self._batch)
                self._sent = True
            except (Silence, Gone):
                return

    def _wait_until_ready(self) -> None:
        if self._process is None or not self._sent:
            raise Gone
        message, _ = self._process.receive(START_SECONDS)
        if message.get("ready") != self._rows:
            raise Gone

    def _receive(self, name: str) -> Answer:
        if self._process is None:
            raise Gone
        message, payload = self._process.receive(self._seconds + _SLACK_SECONDS)
        if message.get("name") != name or len(payload) != 2 * self._rows:
            raise Gone
        marks = np.frombuffer(payload, dtype=np.uint8).reshape(2, self._rows) == 1
        error, seconds = str(message.get("error", "")), message.get("seconds", 0.0)
        cause: Cause = "raised" if error else ""
        seconds = float(seconds) if isinstance(seconds, int | float) else 0.0
        return Answer(name, marks[0] & ~marks[1], marks[1], seconds, cause, error)

    def _failure(self, name: str, cause: Cause, error: str) -> Answer:
        nothing, everything = np.zeros(self._rows, dtype=bool), np.ones(self._rows, dtype=bool)
        return Answer(name, nothing, everything, self._seconds if cause == "slow" else 0.0, cause, error)

    def _fate(self, error: Exception, silence: str) -> str:
        """End the process, and say what happened."""
        process, self._process = self._process, None
        self._sent = False
        if process is None:
            return "there was no process to run it"
        if isinstance(error, Silence):
            process.kill()
            return silence
        return process.end()

    def _lose_module(self, name: str, loss: Loss) -> None:
        """Give up all functions of a module whose import hung or crashed."""
        module = place_of(self._functions[name].place)[0]
        for other, function in list(self._functions.items()):
            if other == name or place_of(function.place)[0] == module:
                self._lose(other, loss)

    def _lose(self, name: str, loss: Loss) -> None:
        self.lost[name] = loss
        self.drop(name)


def _loss(error: Exception, reason: str) -> Loss:
    return Loss("slow" if isinstance(error, Silence) else "crashed", reason)


def _missing(module: str, function: UserFunction) -> str:
    """Return what to install for a module that is not there."""
    package = module.partition(".")[0].replace("_", "-")
    beside = f", or put {module.partition('.')[0]}.py into {function.folder}" if function.folder else ""
    return f"there is no module '{module}'; install it (pip install {package}){beside}, or add its folder to PYTHONPATH"
