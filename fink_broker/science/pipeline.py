"""Runs the science modules over a batch of alerts, and keeps one bad alert from spoiling the others."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.science import outcome
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import FAILED, SKIPPED, Module

log = logging.getLogger(__name__)

#: The science columns in the order of production; others follow in the order of their modules.
PRODUCTION_ORDER = (
    "cdsxmatch", "tns", "DR3Name", "Plx", "e_Plx", "gaiaVarFlag", "gaiaClass", "vsx", "spicy_id", "spicy_class",
    "gcvs", "x3hsp", "x4lac", "mangrove", "roid", "rf_snia_vs_nonia", "snn_snia_vs_nonia", "snn_sn_vs_all", "mulens",
    "nalerthist", "rf_kn_vs_nonkn", "anomaly_score", "anomaly_score_beta", "anomaly_score_anais",
    "anomaly_score_emille", "anomaly_score_julien", "anomaly_score_maria", "anomaly_score_emille_30days",
    "anomaly_score_varvara", "anomaly_score_alexanta", "lc_features_g", "lc_features_r", "jd_first_real_det",
    "jdstarthist_dt", "mag_rate", "sigma_rate", "lower_rate", "upper_rate", "delta_time", "from_upper",
    "blazar_stats", "is_transient", "slsn_score",
)  # fmt: skip

Columns = dict[str, pa.Array]

#: Time a module may take to find out which alerts of a batch it raises on; after that all that are left count as such.
MOST_SECONDS_OF_FAILURES = 10.0


class WrongOutput(Exception):
    """A module gave not what it declares: too few columns, or too few values."""


@dataclass(frozen=True)
class Attempt:
    """What a module made of a batch.

    Parameters
    ----------
    columns : dict of str to pyarrow.Array
        Its columns; null where it raised.
    raised : numpy.ndarray of bool
        Alerts it raised on, or could not look at because a module it needs raised.
    failed : numpy.ndarray of bool
        These, and those it says itself it could not do its work on.
    skipped : numpy.ndarray of bool
        Alerts its own rule left out.
    """

    columns: Columns
    raised: Mask
    failed: Mask
    skipped: Mask

    @classmethod
    def none(cls, module: Module, length: int) -> Attempt:
        """Return that a module made nothing of some alerts: it raised."""
        everything, nothing = np.ones(length, dtype=bool), np.zeros(length, dtype=bool)
        nulls = {column.name: pa.nulls(length, column.type) for column in module.outputs}
        return cls(nulls, everything, everything, nothing)

    @classmethod
    def join(cls, module: Module, parts: Sequence[Attempt]) -> Attempt:
        """Return what a module made of consecutive parts of a batch."""
        columns = {
            column.name: pa.concat_arrays([part.columns[column.name] for part in parts]) for column in module.outputs
        }
        marks = (np.concatenate([getattr(part, name) for part in parts]) for name in ("raised", "failed", "skipped"))
        return cls(columns, *marks)

    def spread(self, module: Module, rows: npt.NDArray[np.int64], length: int) -> Attempt:
        """Return what a module made of some rows of a longer batch; it raised on the others."""
        source = np.zeros(length, dtype=np.int64)
        source[rows] = np.arange(len(rows))
        left_out = np.ones(length, dtype=bool)
        left_out[rows] = False
        taken = pa.array(source, mask=left_out)
        columns = {column.name: self.columns[column.name].take(taken) for column in module.outputs}
        raised, failed, skipped = left_out.copy(), left_out.copy(), np.zeros(length, dtype=bool)
        raised[rows], failed[rows], skipped[rows] = self.raised, self.failed, self.skipped
        return Attempt(columns, raised, failed, skipped)

    def nothing(self, module: Module) -> Mask:
        """Tell on which alerts the module looked and found nothing."""
        absent = outcome.has_nothing(self.columns, module.outputs, len(self.raised))
        return absent & ~self.failed & ~self.skipped


class Pipeline:
    """Science modules in an order in which each finds what it needs.

    Making one is cheap; models and catalogues load at the first batch, once a process.

    Parameters
    ----------
    modules : sequence of Module
        In the order they run.

    Attributes
    ----------
    failures : collections.Counter
        How many alerts each module raised on, since the pipeline was made.
    seconds : collections.defaultdict
        Time each module took, since the pipeline was made.
    """

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = tuple(modules)
        self.failures: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._prepared = False
        needs = [module.needs for module in self.modules]
        history = {name for need in needs for name in need.history}
        self.history_fields = sorted(history)
        self.candidate_fields = sorted(history.union(*[need.candidate for need in needs]))
        # candid is always there: it names the alert in the log, and a batch without columns has no length
        self.root_fields = sorted({"candid"}.union(*[need.root for need in needs]))
        self.cutouts = sorted({name for need in needs for name in need.cutouts})
        columns = {column.name: column for module in self.modules for column in module.outputs}
        ordered = [name for name in PRODUCTION_ORDER if name in columns]
        ordered += [name for name in columns if name not in PRODUCTION_ORDER]
        fields = [pa.field(name, columns[name].type) for name in ordered]
        self.science_type = pa.struct(fields)
        self.output_type = pa.struct([*fields, *(pa.field(name, kind) for name, kind in outcome.OUTCOMES.items())])

    @property
    def output_names(self) -> list[str]:
        """Names of the output columns, in order."""
        return [field.name for field in self.output_type]

    def prepare(self) -> None:
        """Load all models and catalogues now.

        Raises
        ------
        FinkError
            If one is missing or is not the file it should be: that is the installation's fault, not an alert's.
        """
        if not self._prepared:
            for module in self.modules:
                module.prepare()
            self._prepared = True

    def run(self, batch: pa.StructArray) -> pa.StructArray:
        """Return the science columns of a batch, one row for each alert, and what became of it in each module.

        Parameters
        ----------
        batch : pyarrow.StructArray
            Root and candidate fields by name, history arrays as ``prv_<field>``, images as ``cutout<name>``.
        """
        self.prepare()
        alerts = AlertBatch.from_struct(batch)
        # (outcome, module, alert)
        marks = np.zeros((3, len(self.modules), len(batch)), dtype=bool)
        raised: dict[str, Mask] = {}
        for row, module in enumerate(self.modules if len(batch) else ()):
            started = time.perf_counter()
            attempt = self._run_module(module, alerts, raised)
            raised |= dict.fromkeys(attempt.columns, attempt.raised)
            alerts = alerts.with_columns(attempt.columns)
            marks[:, row] = attempt.failed, attempt.skipped, attempt.nothing(module)
            self.seconds[module.name] += time.perf_counter() - started
        return self._assemble(alerts, marks)

    def made_with(self) -> dict[str, str]:
        """Return each module's version and the digests of the files it uses, as they are now."""
        return {module.name: outcome.version_text(module.version, self._digests(module)) for module in self.modules}

    def _assemble(self, alerts: AlertBatch, marks: np.ndarray) -> pa.StructArray:
        columns = [alerts.columns.get(field.name, pa.nulls(0, field.type)) for field in self.science_type]
        names = [module.name for module in self.modules]
        lists = [outcome.names_where(names, marked) for marked in marks]
        made_with = outcome.repeated_map(self.made_with(), len(alerts))
        return pa.StructArray.from_arrays([*columns, *lists, made_with], fields=list(self.output_type))

    def _run_module(self, module: Module, alerts: AlertBatch, raised: Mapping[str, Mask]) -> Attempt:
        """Run a module on the alerts for which it has what it needs: a module it builds on may have raised."""
        lacking = np.zeros(len(alerts), dtype=bool)
        for name in module.needs.outputs:
            lacking |= raised.get(name, False)
        deadline = time.monotonic() + MOST_SECONDS_OF_FAILURES
        if not lacking.any():
            return self._attempt(module, alerts, deadline)
        rows = np.flatnonzero(~lacking)
        made = self._attempt(module, alerts.take(rows), deadline) if len(rows) else Attempt.none(module, 0)
        return made.spread(module, rows, len(alerts))

    def _attempt(self, module: Module, alerts: AlertBatch, deadline: float) -> Attempt:
        """Run a module; where it raises, halve the batch until only the alerts it raises on are left out."""
        try:
            return _compute(module, alerts)
        except KeyboardInterrupt:
            raise
        except WrongOutput as error:  # not an alert's fault: smaller batches would only hide it
            self._report(module, alerts, error)
            return Attempt.none(module, len(alerts))
        # a module is foreign code: whatever it raises, a native panic or an exit too, must not stop the stream
        except BaseException as error:
            if len(alerts) == 1 or time.monotonic() > deadline:
                self._report(module, alerts, error)
                return Attempt.none(module, len(alerts))
        middle = len(alerts) // 2
        halves = (alerts.slice(0, middle), alerts.slice(middle, len(alerts)))
        return Attempt.join(module, [self._attempt(module, half, deadline) for half in halves])

    def _digests(self, module: Module) -> tuple[str, ...]:
        try:
            return tuple(str(digest) for digest in module.digests())
        except Exception as error:  # foreign code; the alert is classified, only its provenance is not known
            if not self.failures[f"{module.name} digests"]:
                log.warning("the digests of %s cannot be told: %s", module.name, error, exc_info=error)
            self.failures[f"{module.name} digests"] += 1
            return ("?",)

    def _report(self, module: Module, alerts: AlertBatch, error: BaseException) -> None:
        """Log the first failure of each module with its traceback; later ones are counted."""
        candid = alerts.columns["candid"][0] if "candid" in alerts.columns else "?"
        more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
        level = logging.DEBUG if self.failures[module.name] else logging.WARNING
        log.log(level, "%s raised on alert %s%s; its columns are null there", module.name, candid, more, exc_info=error)
        self.failures[module.name] += len(alerts)


def _compute(module: Module, alerts: AlertBatch) -> Attempt:
    """Run a module and hold it to what it declares."""
    length = len(alerts)
    with np.errstate(all="ignore"):  # odd numbers are a packet's, and come a million times a night
        given = module.compute(alerts)
    columns = {}
    for column in module.outputs:
        if column.name not in given:
            raise WrongOutput(f"{module.name} gave no {column.name}")
        value = given[column.name]
        array = value if isinstance(value, pa.Array) else pa.array(value)
        if array.type != column.type:
            array = array.cast(column.type)
        if len(array) != length:
            raise WrongOutput(f"{module.name} gave {len(array)} values of {column.name} for {length} alerts")
        columns[column.name] = array
    failed, skipped = np.zeros(length, dtype=bool), np.zeros(length, dtype=bool)
    failed[:], skipped[:] = given.get(FAILED, False), given.get(SKIPPED, False)
    return Attempt(columns, np.zeros(length, dtype=bool), failed, skipped)
