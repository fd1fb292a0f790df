"""SuperNNova: two recurrent networks that tell supernovae by their light curves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.photometry import fluxcal
from fink_broker.config import Config
from fink_broker.science.asteroids import KNOWN
from fink_broker.science.batch import AlertBatch
from fink_broker.science.files import SNN, checked_file, digests_of
from fink_broker.science.labels import is_extragalactic
from fink_broker.science.module import SKIPPED, Column, Module, Needs, Outputs
from fink_broker.science.supernnova.lstm import StackedLstm
from fink_broker.science.supernnova.steps import Steps, make_steps
from fink_broker.science.supernnova.weights import Normalisation, read_normalisation, read_tensors

#: The two networks, also the names of their columns.
NETWORKS = ("snn_snia_vs_nonia", "snn_sn_vs_all")
#: What each network is made of.
FILES = ("model.pt", "data_norm.json")
MIN_DETECTIONS = 2
#: Oldest light curve that is classified, in days.
MAX_AGE_DAYS = 90.0
#: Most visits that are classified. No light curve of 90 days has a third of them; a made-up packet must not take
#: the memory of the worker.
MAX_STEPS = 1000


def build(_config: Config) -> Module:
    """Return the module."""
    meanings = ("probability of a supernova Ia against other supernovae", "probability of a supernova")
    return Module(
        name="supernnova",
        version="1",
        reference="Möller & de Boissière 2020, MNRAS 491, 4277; Fraga et al. 2024, A&A 692, A208",
        needs=Needs(
            candidate=("jdstarthist",),
            history=("jd", "fid", "magpsf", "sigmapsf"),
            outputs=("cdsxmatch", "roid"),
        ),
        outputs=tuple(
            Column(name, pa.float64(), "", f"{meaning}; null where its numbers overflow, or beyond 1,000 visits", 0)
            for name, meaning in zip(NETWORKS, meanings, strict=True)
        ),
        compute=_compute,
        prepare=_prepare,
        digests=lambda: digests_of(*(f"{SNN}{name}/{file}" for name in NETWORKS for file in FILES)),
    )


def _prepare() -> None:
    """Load the networks."""
    _networks()


@lru_cache(maxsize=1)
def _networks() -> tuple[StackedLstm, tuple[Normalisation, ...]]:
    folders = [f"{SNN}{name}" for name in NETWORKS]
    tensors = [read_tensors(checked_file(f"{folder}/model.pt").read_bytes()) for folder in folders]
    return StackedLstm(tensors), tuple(read_normalisation(checked_file(f"{f}/data_norm.json")) for f in folders)


def eligible(batch: AlertBatch) -> Mask:
    """Tell which alerts are classified: young, extragalactic or unknown, no known solar system object."""
    curves = batch.curves
    moving = batch.numbers("roid")
    with np.errstate(invalid="ignore", over="ignore"):
        young = curves.last("jd") - batch.numbers("jdstarthist") <= MAX_AGE_DAYS
    still = ~np.isnan(moving) & (moving != KNOWN)
    extragalactic = is_extragalactic(batch.columns["cdsxmatch"])
    return (curves.detections >= MIN_DETECTIONS) & young & still & extragalactic


def steps_of(batch: AlertBatch, chosen: Mask) -> Steps:
    """Return the steps of the chosen alerts; the others have none."""
    curves = batch.curves
    jd, fid = curves.numbers("jd"), curves.numbers("fid")
    flux, error = fluxcal(curves.numbers("magpsf"), curves.numbers("sigmapsf"))
    used = chosen[curves.owner] & _single(flux) & _single(error) & np.isfinite(jd)
    return make_steps(
        curves.owner[used], len(batch), jd=jd[used], fid=fid[used], flux=flux[used], flux_error=error[used]
    )


def _single(values: Floats) -> Mask:
    """Tell which values are finite also as 32-bit numbers, which is what the networks read."""
    return np.abs(values) <= np.finfo(np.float32).max


def _compute(batch: AlertBatch) -> Outputs:
    steps = steps_of(batch, eligible(batch))
    lengths = np.diff(steps.offsets)
    scores = np.where(lengths > MAX_STEPS, np.nan, np.zeros((len(NETWORKS), 1)))
    rows = np.flatnonzero((lengths > 0) & (lengths <= MAX_STEPS))
    if len(rows):
        lstm, normalisations = _networks()
        with np.errstate(over="ignore", invalid="ignore"):
            inputs = [steps.normalised(by) for by in normalisations]
            scores[:, rows] = lstm.probabilities(inputs, steps.offsets[rows], lengths[rows])
    outputs = {
        name: pa.array(score, pa.float64(), mask=~np.isfinite(score))
        for name, score in zip(NETWORKS, scores, strict=True)
    }
    return outputs | {SKIPPED: lengths == 0}
