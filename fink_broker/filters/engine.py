"""All filters on a batch of alerts: each judges for itself, and none can harm another.

Filters the broker trusts (its own, SQL rules, watchlists, areas) run here. Python functions of users run in a process
of their own, at the same time; the verdicts of the others are there at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter
from fink_broker.filters.users.answer import Answer
from fink_broker.filters.users.arguments import inputs_of, raw_columns
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.users.isolation import WrongAnswer, isolate, told
from fink_broker.filters.users.runner import IMPORT_SECONDS, Inputs, Runner
from fink_broker.filters.users.switches import Cause, Switches
from fink_broker.filters.verdict import Verdict
from fink_broker.filters.view import AlertView

log = logging.getLogger(__name__)

#: Time that may go into finding the alerts of a batch a trusted filter raises on.
ISOLATION_SECONDS = 0.25
#: Why a filter is off whose function could not be loaded; one that merely lacks a package is tried again.
_LOAD_CAUSES: dict[str, Cause] = {"raised": "unfit", "slow": "slow", "crashed": "crashed"}
#: A batch counts as failed where a filter could not judge more than this share of it.
FAILED_SHARE = 0.5


class Engine:
    """Evaluates filters batch by batch.

    A user's filter that fails several batches in a row is switched off, one that takes too long or brings its process
    down at once. A filter of the broker's own is never switched off by the engine.

    Parameters
    ----------
    filters : sequence of Filter
        The filters; those that are switched off are passed over.
    switches : Switches, optional
        Which are off; kept in memory if not given.
    function_seconds : float
        Time a filter of a user may take on a batch.
    failures : int
        Failed batches in a row after which a user's filter is switched off.
    schema : pyarrow.Schema, optional
        Of the alerts to come; see `fit`.
    import_seconds : float
        Time the import of a user's function may take.
    """

    def __init__(
        self,
        filters: Sequence[Filter],
        switches: Switches | None = None,
        function_seconds: float = 2.0,
        failures: int = 3,
        *,
        schema: pa.Schema | None = None,
        import_seconds: float = IMPORT_SECONDS,
    ) -> None:
        self.filters = tuple(filters)
        self._switches = switches or Switches()
        self._seconds, self._failures = function_seconds, failures
        self._streak: Counter[str] = Counter()
        self._schema: pa.Schema | None = None
        self._unfit: dict[str, str] = {}
        self._inputs: dict[str, Inputs] = {}
        self._runner = self._new_runner(import_seconds)
        self._loading = threading.Thread(target=self._load, name="users' functions", daemon=True)
        self._loading.start()
        if schema is not None:
            self.fit(schema)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> bool:
        """Whether users' functions have been imported; until then `reads` and `judge` wait."""
        return not self._loading.is_alive()

    @property
    def outdated(self) -> bool:
        """Whether a user's function has been switched on that is not loaded here: time for another engine."""
        self._switches.refresh()
        known = self._runner.arguments.keys() | self._runner.lost.keys()
        functions = [entry for entry in self.filters if isinstance(entry.rule, UserFunction)]
        gone = [entry for entry in functions if entry.name in self._runner.lost or entry.name not in known]
        return self.ready and any(self._switches.off(entry) is None for entry in gone)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that a table for `judge` should have; of some only one of several spellings exists."""
        self._loading.join()
        paths: dict[str, None] = {}
        for entry in self.filters:
            if isinstance(entry.rule, UserFunction):
                fitted = self._inputs.get(entry.name)
                arguments = self._runner.arguments.get(entry.name, ())
                found = UserFunction(entry.rule.place, arguments=arguments).reads
                paths |= dict.fromkeys(found if fitted is None else [path for many in fitted.values() for path in many])
            else:
                paths |= dict.fromkeys(entry.rule.reads)
        return tuple(paths)

    @property
    def off(self) -> dict[str, str]:
        """Filters that are switched off, and why."""
        self._switches.refresh()
        found = {entry.name: self._switches.off(entry) for entry in self.filters}
        return {name: off.reason for name, off in found.items() if off is not None}

    def close(self) -> None:
        """End the process of users' functions."""
        self._loading.join()
        self._runner.close()

    def fit(self, schema: pa.Schema) -> None:
        """See which filters can be evaluated on alerts of a schema; users' filters that cannot are switched off.

        Parameters
        ----------
        schema : pyarrow.Schema
            All columns of the table, or those in `reads`.
        """
        self._loading.join()
        self._schema, self._unfit, self._inputs = schema, {}, {}
        for entry in self.filters:
            try:
                if not isinstance(entry.rule, UserFunction):
                    entry.rule.check(schema)
                elif entry.name in self._runner.arguments:
                    self._inputs[entry.name] = inputs_of(self._runner.arguments[entry.name], schema)
            except Exception as error:  # a rule that raises instead of telling is as unfit
                self._unfit[entry.name] = str(error) if isinstance(error, ConfigError) else told(error)
            self._switch_by_fitness(entry)

    def judge(self, table: pa.Table) -> list[Verdict]:
        """Return what each filter that is on says of a batch, in the order of the filters.

        Parameters
        ----------
        table : pyarrow.Table
            Alerts with the columns in `reads`.
        """
        return self.begin(table).all()

    def begin(self, table: pa.Table) -> Judgement:
        """Do what `judge` does, but return as soon as the filters the broker trusts have judged."""
        self._loading.join()
        if self._schema is None or not self._schema.equals(table.schema):
            self.fit(table.schema)
        self._switches.refresh()
        on = [entry for entry in self.filters if self._switches.off(entry) is None]
        users = [entry for entry in on if entry.name in self._inputs and entry.name not in self._runner.lost]
        users = users if len(table) else []
        self._send(table, users)
        view = AlertView(table)
        trusted = [self._decide(entry, view) for entry in on if not isinstance(entry.rule, UserFunction)]
        return Judgement(self, trusted, users)

    def collect(self, users: Sequence[Filter]) -> list[Verdict]:
        """Wait for the verdicts of users' functions on the batch that was begun last."""
        if not users:
            return []
        entries = {entry.name: entry for entry in users}
        return [self._verdict(entries[answer.name], answer) for answer in self._runner.collect()]

    def _new_runner(self, import_seconds: float) -> Runner:
        """Return what runs users' functions that are on, or were off for want of a package or a column."""
        functions = {}
        for entry in self.filters:
            off = self._switches.off(entry)
            if isinstance(entry.rule, UserFunction) and (off is None or off.cause == "unfit"):
                functions[entry.name] = entry.rule
        return Runner(functions, self._seconds, import_seconds)

    def _load(self) -> None:
        self._runner.load()
        for entry in self.filters:
            if loss := self._runner.lost.get(entry.name):
                self._switch_off(entry, _LOAD_CAUSES[loss.cause], loss.reason)

    def _send(self, table: pa.Table, users: Sequence[Filter]) -> None:
        if users:
            inputs = {entry.name: self._inputs[entry.name] for entry in users}
            paths = [path for wanted in inputs.values() for many in wanted.values() for path in many]
            self._runner.send(raw_columns(table, paths), inputs)

    def _decide(self, entry: Filter, view: AlertView) -> Verdict:
        """Return the verdict of a filter that runs here."""
        if entry.name in self._unfit:
            return Verdict.failure(entry, len(view), 0.0, self._unfit[entry.name])
        started, error = time.perf_counter(), ""
        try:
            passed = _whole(entry, view)
            failed = np.zeros(len(view), dtype=bool)
        except WrongAnswer as wrong:
            error = str(wrong)
            passed, failed = np.zeros(len(view), dtype=bool), np.ones(len(view), dtype=bool)
        except Exception as raised:  # whatever a rule raises harms nobody else
            error = told(raised)
            parts = AlertView(view.table)
            passed, failed = isolate(lambda first, last: _part(entry, parts, first, last), len(view), ISOLATION_SECONDS)
        seconds = time.perf_counter() - started
        verdict = Verdict(entry, passed & ~failed, failed, seconds, error)
        self._remember(verdict, "slow" if seconds > self._seconds else "")
        return verdict

    def _verdict(self, entry: Filter, answer: Answer) -> Verdict:
        verdict = Verdict(entry, answer.passed, answer.failed, answer.seconds, answer.error)
        self._remember(verdict, answer.cause if answer.cause in ("slow", "crashed") else "")
        return verdict

    def _remember(self, verdict: Verdict, cause: str) -> None:
        """Count failures, and switch a user's filter off where it has had enough of them."""
        entry = verdict.filter
        if verdict.error:
            log.warning("The filter %s failed on %s alerts: %s.", entry.name, int(verdict.failed.sum()), verdict.error)
        if entry.built_in:
            return
        bad = len(verdict.failed) > 0 and verdict.failed.mean() > FAILED_SHARE
        self._streak[entry.name] = self._streak[entry.name] + 1 if bad else 0
        if cause:
            slow = verdict.error or f"it took {verdict.seconds:.1f} s on a batch, more than {self._seconds:g} s"
            self._switch_off(entry, "crashed" if cause == "crashed" else "slow", slow)
        elif self._streak[entry.name] >= self._failures:
            self._switch_off(entry, "failed", f"{self._failures} batches in a row failed, the last: {verdict.error}")

    def _switch_by_fitness(self, entry: Filter) -> None:
        off = self._switches.off(entry)
        if entry.name in self._unfit:
            if not entry.built_in and off is None:
                self._switch_off(entry, "unfit", self._unfit[entry.name])
            elif entry.built_in:
                log.warning("The filter %s cannot be evaluated: %s", entry.name, self._unfit[entry.name])
        elif off is not None and off.cause == "unfit" and self._is_loaded(entry):
            self._switches.switch_on(entry.name)
            log.info("The filter %s can be evaluated again.", entry.name)

    def _is_loaded(self, entry: Filter) -> bool:
        return not isinstance(entry.rule, UserFunction) or entry.name in self._inputs

    def _switch_off(self, entry: Filter, cause: Cause, reason: str) -> None:
        self._streak[entry.name] = 0
        self._switches.switch_off(entry, cause, reason.rstrip("."))
        log.warning(
            "The filter %s of %s is switched off: %s. `fink filter on %s` switches it on again.",
            entry.name, entry.owner, reason.rstrip("."), entry.name,
        )  # fmt: skip


class Judgement:
    """What filters say of a batch: those the broker trusts at once, those of users when they are asked for.

    Parameters
    ----------
    engine : Engine
        Whose it is.
    trusted : list of Verdict
        Verdicts that are there.
    users : sequence of Filter
        Filters whose verdicts are still to come.
    """

    def __init__(self, engine: Engine, trusted: list[Verdict], users: Sequence[Filter]) -> None:
        self.trusted = trusted
        self._engine, self._users = engine, users
        self._late: list[Verdict] | None = None

    def late(self) -> list[Verdict]:
        """Wait for the verdicts of users' functions: at most their time each."""
        if self._late is None:
            self._late = self._engine.collect(self._users)
        return self._late

    def all(self) -> list[Verdict]:
        """Return all verdicts in the order of the filters."""
        found = {verdict.filter.name: verdict for verdict in [*self.trusted, *self.late()]}
        return [found[entry.name] for entry in self._engine.filters if entry.name in found]


def _whole(entry: Filter, view: AlertView) -> Mask:
    passed = np.asarray(entry.rule.decide(view))
    if passed.dtype != bool or passed.shape != (len(view),):
        raise WrongAnswer(f"it gave {passed.dtype} of shape {passed.shape} for {len(view)} alerts")
    return passed


def _part(entry: Filter, view: AlertView, first: int, last: int) -> Mask:
    return _whole(entry, view.take(np.arange(first, last)))
