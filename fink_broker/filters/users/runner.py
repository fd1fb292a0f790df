"""Runs users' functions on batches in a process that is replaced when a function hangs in it or brings it down."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fink_broker.errors import ConfigError
from fink_broker.filters.users.answer import Answer, Cause, Loss
from fink_broker.filters.users.arguments import Argument
from fink_broker.filters.users.budget import Budget
from fink_broker.filters.users.frames import Gone, Message, Silence
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.users.imports import ImportTime, module_of, others_wait, what_is_missing
from fink_broker.filters.users.process import Process

log = logging.getLogger(__name__)

#: Address space of the process: a function that asks for more gets a MemoryError.
MEMORY_BYTES = 8 << 30
#: Time all imports may take together.
IMPORT_SECONDS = 10.0
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
        Time all functions together may take on a batch.
    import_seconds : float
        Time all imports together may take. As long as others wait, one may take half of what is left.
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
        self._sent = self._abandoned = False
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

    @property
    def is_down(self) -> bool:
        """Whether the process has ended, and there are functions to run: `load` starts another."""
        return self._process is None and bool(self._functions)

    def abandon(self) -> None:
        """End the process, and let `load` in another thread end without a word on what was not imported."""
        self._abandoned = True
        process = self._process
        if process is not None:
            process.stop()

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
        starts, left = 0, ImportTime(self._import_seconds)
        while waiting and not self._abandoned:
            process, asked = self._process, time.monotonic()
            if process is None:
                process = self._start()
                left.extend(time.monotonic() - asked)
            if process is None:
                starts += 1
                if starts < MOST_STALLS or self._abandoned:
                    continue
                for name in waiting:
                    self._lose(name, Loss("raised", "the process for users' functions cannot be started"))
                return
            name = waiting.pop(0)
            if name in self._functions and not self._load_one(process, name, waiting, left):
                waiting = list(self._functions)  # another process, which knows none of them

    def _load_one(self, process: Process, name: str, waiting: Sequence[str], left: ImportTime) -> bool:
        """Import a function; return whether the process is still there."""
        seconds = left.share(others_wait=others_wait(name, waiting, self._functions))
        if not seconds:
            self._lose(name, Loss("waited", "no time was left for its import: those of others took too long"))
            return True
        try:
            answer = self._import(process, name, seconds)
        except (Silence, Gone) as error:
            what = self._fate(error, f"its import takes too long (more than {seconds:.1f} s)")
            if not self._abandoned:
                self._lose_module(name, Loss("slow" if isinstance(error, Silence) else "crashed", what))
            return False
        self._take(name, answer)
        return True

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

    def collect(self) -> list[Answer]:
        """Return the answers to the last batch.

        When the time for all is used up, the function that took most of it is lost, and the others go on with as much
        anew: nobody pays for another's slowness, and each time is the last of one that is slow.
        """
        budget, answers = Budget(self._seconds), list[Answer]()
        pending, stalls, taken_in = list(self._inputs), 0, False
        while pending:
            try:
                if not taken_in:
                    self._wait_until_ready()
                    taken_in = True
                answers += self._answers(pending, budget)
            except (Silence, Gone) as error:  # before any function began
                what = self._fate(error, "its process did not take the batch in time")
                stalls += 1
                if stalls == MOST_STALLS:
                    answers += [self._failure(name, "raised", what) for name in pending]
                    break
            if budget.left <= 0:
                answers, budget = self._blamed(answers, budget), Budget(self._seconds)
            if pending and self._process is None:
                answers += self._go_on(pending)
                pending = [name for name in pending if name in self._functions]
                taken_in = False
        self._sent = False
        return answers

    def _answers(self, pending: list[str], budget: Budget) -> list[Answer]:
        """Return answers, each then no longer pending, until all have come, time is up, or the process has ended."""
        answers: list[Answer] = []
        while pending and budget.left > 0:
            name, started = pending[0], time.monotonic()
            error: Exception | None = None
            try:
                answer = self._receive(name, budget.left)
            except (Silence, Gone) as caught:
                error, answer = caught, self._failure(name, "slow", "")
            # what a function says of its own time is no more than a claim
            budget.spent[name] = max(answer.seconds, time.monotonic() - started)
            if error is not None:
                what = self._fate(error, "")
                if isinstance(error, Silence) and name != budget.largest:
                    return answers  # another used up the time: it is asked again
                if isinstance(error, Gone):
                    self._lose(name, Loss("crashed", what))
                    answer = self._failure(name, "crashed", what)
            pending.pop(0)
            answers.append(answer)
            if error is not None:
                break
        return answers

    def _blamed(self, answers: list[Answer], budget: Budget) -> list[Answer]:
        """Lose the function that took most of the time, if it is not lost already; return the answers so."""
        name = budget.largest
        if name not in self._functions:
            return answers
        self._lose(name, Loss("slow", budget.blame(name)))
        return [self._slow(answer, budget) if answer.name == name else answer for answer in answers]

    def _slow(self, answer: Answer, budget: Budget) -> Answer:
        error = budget.blame(answer.name) if answer.cause == "slow" else answer.error
        return replace(answer, cause="slow", error=error, seconds=budget.spent[answer.name])

    def _go_on(self, pending: list[str]) -> list[Answer]:
        """Start anew with the functions that have not answered yet; those lost on the way answer so."""
        self._inputs = {name: self._inputs[name] for name in pending}
        self.load()
        lost = [name for name in pending if name not in self._functions]
        self._inputs = {name: wanted for name, wanted in self._inputs.items() if name in self._functions}
        self._try_to_send()
        return [self._failure(name, self.lost[name].cause, self.lost[name].reason) for name in lost]

    def _start(self) -> Process | None:
        """Start a process, and wait until it is there; None if it does not come."""
        try:
            self._process = Process(self._memory)
            if self._abandoned:
                self._process.stop()
            self._process.receive(START_SECONDS)
        except OSError as error:  # no room for another process
            log.warning("The process for users' filters does not start: %s.", error)
        except (Silence, Gone) as error:
            what = self._fate(error, "it is silent")
            if not self._abandoned:
                log.warning("The process for users' filters does not start: %s.", what)
        return self._process

    def _import(self, process: Process, name: str, seconds: float) -> Message:
        function = self._functions[name]
        process.send({"do": "load", "name": name, "place": function.place, "folder": function.folder})
        return process.receive(seconds)[0]

    def _take(self, name: str, answer: Message) -> None:
        if "arguments" in answer:
            self.arguments[name] = tuple(Argument(str(entry[0]), bool(entry[1])) for entry in answer["arguments"])
        elif "missing" in answer:
            self._lose(name, Loss("raised", what_is_missing(str(answer["missing"]), self._functions[name])))
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

    def _receive(self, name: str, seconds_left: float) -> Answer:
        if self._process is None:
            raise Gone
        message, payload = self._process.receive(seconds_left + _SLACK_SECONDS)
        if message.get("name") != name or len(payload) != 2 * self._rows:
            raise Gone
        marks = np.frombuffer(payload, dtype=np.uint8).reshape(2, self._rows) == 1
        error, seconds = str(message.get("error", "")), message.get("seconds", 0.0)
        cause: Cause = "raised" if error else ""
        seconds = float(seconds) if isinstance(seconds, int | float) else 0.0
        return Answer(name, marks[0] & ~marks[1], marks[1], seconds, cause, error)

    def _failure(self, name: str, cause: Cause, error: str) -> Answer:
        nothing, everything = np.zeros(self._rows, dtype=bool), np.ones(self._rows, dtype=bool)
        return Answer(name, nothing, everything, 0.0, cause, error)

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
        module = module_of(self._functions[name])
        for other, function in list(self._functions.items()):
            if other == name or module_of(function) == module:
                self._lose(other, loss)

    def _lose(self, name: str, loss: Loss) -> None:
        self.lost[name] = loss
        self.drop(name)
