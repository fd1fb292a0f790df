"""Runs the science modules over a batch of alerts, and keeps one bad alert from spoiling the others."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Module

log = logging.getLogger(__name__)

#: Output column that names the modules that raised on the alert.
FAILED = "science_failed"

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
    """

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = tuple(modules)
        self.failures: Counter[str] = Counter()
        self._prepared = False
        needs = [module.needs for module in self.modules]
        history = {name for need in needs for name in need.history}
        self.history_fields = sorted(history)
        self.candidate_fields = sorted(history.union(*[need.candidate for need in needs]))
        # candid is always there: it names the alert in the log, and a batch without columns has no length
        self.root_fields = sorted({"candid"}.union(*[need.root for need in needs]))
        columns = {column.name: column for module in self.modules for column in module.outputs}
        ordered = [name for name in PRODUCTION_ORDER if name in columns]
        ordered += [name for name in columns if name not in PRODUCTION_ORDER]
        fields = [pa.field(name, columns[name].type) for name in ordered]
        self.output_type = pa.struct([*fields, pa.field(FAILED, pa.list_(pa.string()))])

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
        """Return the science columns of a batch, one row for each alert.

        Parameters
        ----------
        batch : pyarrow.StructArray
            Root and candidate fields by name, history arrays as ``prv_<field>``.
        """
        self.prepare()
        alerts = AlertBatch.from_struct(batch)
        failed: list[list[str]] = [[] for _ in range(len(batch))]
        for module in self.modules if len(batch) else ():
            columns, raised = self._attempt(module, alerts)
            alerts = alerts.with_columns(columns)
            for row in np.flatnonzero(raised):
                failed[row].append(module.name)
        return self._assemble(alerts, failed)

    def _assemble(self, alerts: AlertBatch, failed: list[list[str]]) -> pa.StructArray:
        fields = list(self.output_type)
        columns = [alerts.columns.get(field.name, pa.nulls(0, field.type)) for field in fields[:-1]]
        return pa.StructArray.from_arrays([*columns, pa.array(failed, fields[-1].type)], fields=fields)

    def _attempt(self, module: Module, alerts: AlertBatch) -> tuple[Columns, np.ndarray]:
        """Run a module; where it raises, halve the batch until only the alerts it raises on are left out."""
        try:
            return _compute(module, alerts), np.zeros(len(alerts), dtype=bool)
        except Exception as error:  # a module is foreign code: whatever it raises must not stop the stream
            if len(alerts) == 1:
                self._report(module, alerts, error)
                return {column.name: pa.nulls(1, column.type) for column in module.outputs}, np.ones(1, dtype=bool)
        middle = len(alerts) // 2
        left, left_raised = self._attempt(module, alerts.slice(0, middle))
        right, right_raised = self._attempt(module, alerts.slice(middle, len(alerts)))
        joined = {name: pa.concat_arrays([left[name], right[name]]) for name in left}
        return joined, np.concatenate([left_raised, right_raised])

    def _report(self, module: Module, alerts: AlertBatch, error: Exception) -> None:
        """Log the first failure of each module with its traceback; later ones are counted."""
        candid = alerts.columns["candid"][0] if "candid" in alerts.columns else "?"
        level = logging.DEBUG if self.failures[module.name] else logging.WARNING
        log.log(level, "%s raised on alert %s; its columns are null there", module.name, candid, exc_info=error)
        self.failures[module.name] += 1


def _compute(module: Module, alerts: AlertBatch) -> Columns:
    """Run a module and hold it to what it declares."""
    given = module.compute(alerts)
    columns = {}
    for column in module.outputs:
        value = given[column.name]
        array = value if isinstance(value, pa.Array) else pa.array(value)
        if array.type != column.type:
            array = array.cast(column.type)
        if len(array) != len(alerts):
            raise ValueError(f"{module.name} gave {len(array)} values of {column.name} for {len(alerts)} alerts")
        columns[column.name] = array
    return columns
