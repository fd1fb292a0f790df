"""Anomaly scores: forests trained with the feedback of experts, over the light-curve features of both bands."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask, to_floats
from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.science.anomaly.models import WHEEL_MODELS, load_models
from fink_broker.science.anomaly.rules import BandFeatures
from fink_broker.science.batch import AlertBatch
from fink_broker.science.features import COLUMNS, FEATURES
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs


def build(config: Config) -> Module:
    """Return the module: the models that ship with fink-science, then those of ``science.anomaly_models``.

    Raises
    ------
    ConfigError
        If the suffix of a model cannot be part of the name of a column, or is that of a model that ships.
    """
    further = tuple(config.science.anomaly_models.items())
    for suffix, _ in further:
        _check_suffix(suffix)
    suffixes = [*WHEEL_MODELS, *(suffix for suffix, _ in further)]
    return Module(
        name="anomaly",
        version="1",
        reference="Ishida et al. 2021, A&A 650, A195; Pruzhinskaya et al. 2023, A&A 672, A111",
        needs=Needs(outputs=COLUMNS),
        outputs=tuple(_column(suffix) for suffix in suffixes),
        compute=lambda batch: _compute(batch, further),
        prepare=lambda: _prepare(further),
        digests=lambda: load_models(further).digests,
    )


def column_name(suffix: str) -> str:
    """Return the name of the column of a model."""
    return f"anomaly_score_{suffix}" if suffix else "anomaly_score"


def _column(suffix: str) -> Column:
    shipped = suffix in WHEEL_MODELS
    whose = f"of the model '{suffix}'" if suffix else "of the common model"
    none = "0 without both bands" if shipped else "null without features (models of 18 features: 0)"
    absent = 0.0 if shipped else None
    return Column(column_name(suffix), pa.float64(), "", f"anomaly score {whose}, lower is stranger; {none}", absent)


def _check_suffix(suffix: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_]+", suffix):
        raise ConfigError(
            f"science.anomaly_models names the model '{suffix}', which cannot end the name of a column.",
            "Use letters, digits and underscores.",
        )
    if suffix in WHEEL_MODELS:
        raise ConfigError(
            f"science.anomaly_models names the model '{suffix}', but a model of that name ships with fink-science.",
            "Choose another name.",
        )


def _prepare(further: tuple[tuple[str, str], ...]) -> None:
    """Load the models."""
    load_models(further)


def _compute(batch: AlertBatch, further: tuple[tuple[str, str], ...]) -> Outputs:
    models = load_models(further)
    (g, has_g), (r, has_r) = (_matrix(batch.columns[name]) for name in COLUMNS)
    features = BandFeatures(g, has_g, r, has_r)
    scored = [model.rule.score(model.forest_g, model.forest_r, features) for model in models.distinct]
    columns = [pa.array(scores, pa.float64(), mask=np.isnan(scores)) for scores, _ in scored]
    outputs: dict[str, pa.Array | Mask] = {
        column_name(suffix): columns[index] for suffix, index in models.index_of.items()
    }
    outputs[SKIPPED] = ~np.any([is_scored for _, is_scored in scored], axis=0)
    return outputs


def _matrix(column: pa.StructArray) -> tuple[Floats, Mask]:
    """Return features, shape (alerts, 26), null as NaN, and which alerts have the band."""
    present = column.is_valid().to_numpy(zero_copy_only=False)
    matrix = np.array([to_floats(column.field(name)) for name in FEATURES]).T
    matrix[~present] = np.nan  # the fields of a null struct hold anything
    return matrix, present
