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
from fink_broker.filters.judgement import Judgement
from fink_broker.filters.trial import TRIAL_ALERTS, expected_seconds
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
_LOAD_CAUSES: dict[str, Cause] = {"raised": "unfit", "waited": "unfit", "slow": "slow", "crashed": "crashed"}
#: Time beyond that for imports until batches no longer wait for them.
GRACE_SECONDS = 2.0
#: Time at most until the thread of the imports has ended when the engine is closed.
CLOSE_SECONDS = 2.0
#: A user's function has its fair share of the time as long as it takes no longer than this, and this an alert.
FAIR_SECONDS = 0.2
FAIR_SECONDS_AN_ALERT = 0.01
#: Batches in a row after which a user's function is switched off that took more than its fair share.
MOST_UNFAIR = 3
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
        Time a rule of a user may take on a batch, and all functions of users together. When these use it up, the one
        that took most of it is switched off, and those not asked yet fail on that batch. One that takes more than a
        fair share of it three times in a row is switched off as well.
    failures : int
        Failed batches in a row after which a user's filter is switched off.
    schema : pyarrow.Schema, optional
        Of the alerts to come; see `fit`.
    import_seconds : float
        Time the imports of users' functions may take together. Batches that come later than that, and they are still
        not there, are judged without: these functions fail on them.
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
        self._unfair: Counter[str] = Counter()
        self._tried: set[str] = set()
        self._import_seconds = import_seconds
        self._schema: pa.Schema | None = None
        self._unfit: dict[str, str] = {}
        self._inputs: dict[str, Inputs] = {}
        self._runner = self._new_runner(import_seconds)
        self._begin_loading()
        if schema is not None:
            self.fit(schema)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ready(self) -> bool:
        """Whether users' functions have been imported; until then `judge` waits, but not for ever."""
        return not self._loading.is_alive()

    @property
    def outdated(self) -> bool:
        """Whether a user's function has been switched on that is not loaded here: time for another engine."""
        self._switches.refresh()
        if not self.ready:
            return False
        known = self._runner.arguments.keys() | self._runner.lost.keys()
        functions = [entry for entry in self.filters if isinstance(entry.rule, UserFunction)]
        gone = [entry for entry in functions if entry.name in self._runner.lost or entry.name not in known]
        return any(self._switches.off(entry) is None for entry in gone)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that a table for `judge` should have; of some only one of several spellings exists."""
        self._wait()
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
        """End the process of users' functions, also where it hangs in an import."""
        self._runner.abandon()
        self._loading.join(CLOSE_SECONDS)
        if self.ready:
            self._runner.close()

    def fit(self, schema: pa.Schema) -> None:
        """See which filters can be evaluated on alerts of a schema; users' filters that cannot are switched off.

        Parameters
        ----------
        schema : pyarrow.Schema
            All columns of the table, or those in `reads`.
        """
        ready = self._wait()
        self._schema, self._unfit, self._inputs = (schema if ready else None), {}, {}
        for entry in self.filters:
            try:
                if not isinstance(entry.rule, UserFunction):
                    entry.rule.check(schema)
                elif ready and entry.name in self._runner.arguments:
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
        ready = self._wait()
        if self._schema is None or not self._schema.equals(table.schema):
            self.fit(table.schema)
        self._switches.refresh()
        on = [entry for entry in self.filters if self._switches.off(entry) is None]
        users = [entry for entry in on if entry.name in self._inputs and entry.name not in self._runner.lost]
        users = users if len(table) and ready else []
        self._send(table, users)
        view = AlertView(table)
        trusted = [self._decide(entry, view) for entry in on if not isinstance(entry.rule, UserFunction)]
        if not ready:  # no alert goes by unseen: it is said who has not judged it
            late = [entry for entry in on if isinstance(entry.rule, UserFunction)]
            trusted += [Verdict.failure(entry, len(view), 0.0, "users' functions are not loaded yet") for entry in late]
        return Judgement(self.filters, trusted, lambda: self.collect(users))

    def collect(self, users: Sequence[Filter]) -> list[Verdict]:
        """Wait for the verdicts of users' functions on the batch that was begun last."""
        if not users:
            return []
        entries = {entry.name: entry for entry in users}
        verdicts = [self._verdict(entries[answer.name], answer) for answer in self._runner.collect()]
        if self._runner.is_down:
            self._begin_loading()
        return verdicts

    def _new_runner(self, import_seconds: float) -> Runner:
        """Return what runs users' functions that are on, or were off for want of a package or a column."""
        functions = {}
        for entry in self.filters:
            off = self._switches.off(entry)
            if isinstance(entry.rule, UserFunction) and (off is None or off.cause == "unfit"):
                functions[entry.name] = entry.rule
        return Runner(functions, self._seconds, import_seconds)

    def _begin_loading(self) -> None:
        self._until = time.monotonic() + self._import_seconds + GRACE_SECONDS
        self._loading = threading.Thread(target=self._load, name="users' functions", daemon=True)
        self._loading.start()

    def _wait(self) -> bool:
        """Wait for users' functions as long as they may take; return whether they are loaded."""
        self._loading.join(max(0.0, self._until - time.monotonic()))
        return self.ready

    def _load(self) -> None:
        before = set(self._runner.lost)
        self._runner.load()
        for entry in self.filters:
            loss = self._runner.lost.get(entry.name)
            if loss is not None and entry.name not in before:
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
        if not entry.built_in and entry.name not in self._tried and len(view) > TRIAL_ALERTS:
            self._tried.add(entry.name)
            expected = expected_seconds(entry.rule.decide, view, self._seconds)
            if expected > self._seconds:
                what = f"it would take {expected:.1f} s on a batch of {len(view)} alerts, more than {self._seconds:g} s"
                verdict = Verdict.failure(entry, len(view), 0.0, what)
                self._remember(verdict, "slow")
                return verdict
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
        fair = FAIR_SECONDS + FAIR_SECONDS_AN_ALERT * len(answer.failed)
        self._unfair[entry.name] = self._unfair[entry.name] + 1 if answer.seconds > fair else 0
        if answer.cause in ("slow", "crashed"):
            self._remember(verdict, answer.cause, self._runner.lost[entry.name].reason)
        elif self._unfair[entry.name] >= MOST_UNFAIR:
            what = f"it took more than {fair:.1f} s on {len(answer.failed)} alerts, {MOST_UNFAIR} batches in a row"
            self._remember(verdict, "slow", what)
        else:
            self._remember(verdict, answer.cause)
        return verdict

    def _remember(self, verdict: Verdict, cause: str, reason: str = "") -> None:
        """Count failures, and switch a user's filter off where it has had enough of them."""
        entry = verdict.filter
        if verdict.error:
            log.warning("The filter %s failed on %s alerts: %s.", entry.name, int(verdict.failed.sum()), verdict.error)
        if entry.built_in or cause == "waited":  # others are to blame
            return
        bad = len(verdict.failed) > 0 and verdict.failed.mean() > FAILED_SHARE
        self._streak[entry.name] = self._streak[entry.name] + 1 if bad else 0
        if cause in ("slow", "crashed"):
            slow = f"it took {verdict.seconds:.1f} s on a batch, more than {self._seconds:g} s"
            self._switch_off(entry, "crashed" if cause == "crashed" else "slow", reason or verdict.error or slow)
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
        self._streak[entry.name] = self._unfair[entry.name] = 0
        self._switches.switch_off(entry, cause, reason.rstrip("."))
        log.warning(
            "The filter %s of %s is switched off: %s. `fink filter on %s` switches it on again.",
            entry.name, entry.owner, reason.rstrip("."), entry.name,
        )  # fmt: skip


def _whole(entry: Filter, view: AlertView) -> Mask:
    passed = np.asarray(entry.rule.decide(view))
    if passed.dtype != bool or passed.shape != (len(view),):
        raise WrongAnswer(f"it gave {passed.dtype} of shape {passed.shape} for {len(view)} alerts")
    return passed


def _part(entry: Filter, view: AlertView, first: int, last: int) -> Mask:
    return _whole(entry, view.take(np.arange(first, last)))
