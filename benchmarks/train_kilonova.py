"""Train the forest of the kilonova module and tell how good it is.

Kilonovae and other transients are drawn from models, observed as the survey does, and cut at random alerts; real alerts
are added as what is no kilonova. Features and cuts are the module's own. The held-out curves are of other objects
than those trained with. The same seed gives the same forest.

    python -m benchmarks.train_kilonova --real <folder of packets>
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier

from benchmarks.kilonova_curves import (
    KILONOVA,
    Curve,
    batch_of,
    histories,
    observe,
    real_curve,
    real_cuts,
    real_packets,
    simulate,
    simulate_all,
)
from benchmarks.kilonova_light import AT2017GFO, kilonova_flux, kilonova_magnitudes
from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.science.files import checked_file
from fink_broker.science.forest import Forest, read_forest
from fink_broker.science.kilonova import eligible, features_of
from fink_broker.science.kilonova.fit import BAND_FEATURES
from fink_broker.science.kilonova.models import OWN_COMPONENTS, OWN_FOREST, read_components
from fink_broker.simulate.sky.models import MODELS
from fink_broker.simulate.sky.observing import Epochs
from fink_broker.simulate.sky.source import Source, random_field

TREES, MAX_DEPTH = 30, 42
BASELINE = "models/kn_diff_pc_sets.pkl"
#: Score above which the topic of kilonova candidates takes an alert.
THRESHOLD = 0.5
THRESHOLDS = np.arange(0.0, 1.0, 1 / TREES)
HELD_OUT = 0.4
#: Alerts made of one real light curve.
REAL_CUTS = 6
OURS, THEIRS, PRODUCTION = "this forest", "forest of fink-science 7.4.0", "forest given for comparison"


@dataclass(frozen=True)
class Described:
    """Alerts that the module would score, in the order of their features.

    Parameters
    ----------
    features : numpy.ndarray, shape (alerts, 10)
    kind : numpy.ndarray of str
        What they are.
    held_out : numpy.ndarray of bool
        Alerts of objects that are not trained with.
    """

    features: Floats
    kind: np.ndarray
    held_out: Mask

    @property
    def is_kilonova(self) -> Mask:
        """Which alerts are of kilonovae."""
        return self.kind == KILONOVA


@dataclass(frozen=True)
class Contender:
    """A forest, and the components its features are made with.

    Parameters
    ----------
    name : str
    forest : Forest
    components : numpy.ndarray, shape (3, 401)
    """

    name: str
    forest: Forest
    components: Floats

    def score(self, described: Described) -> Floats:
        """Return the score of each alert, described with the same components."""
        return self.forest.probabilities(described.features)[:, 1]


def describe(curves: Sequence[Curve], components: Floats) -> Described:
    """Apply the cuts of the module and keep the alerts that can be described in both bands."""
    batch = batch_of(curves)
    chosen = eligible(batch)
    features = features_of(batch, chosen, components)
    both = np.isfinite(features).all(axis=1) & (features[:, 0] != 0) & (features[:, BAND_FEATURES] != 0)
    kept = np.flatnonzero(chosen)[both]
    held_out = [is_held_out(curves[k].object_name) for k in kept]
    return Described(features[both], np.array([curves[k].kind for k in kept]), np.array(held_out, dtype=bool))


def is_held_out(object_name: str) -> bool:
    """Tell whether an object is kept for testing; decided by its name alone."""
    return zlib.crc32(object_name.encode()) / 2**32 < HELD_OUT


def train(described: Described, leaf: int, seed: int) -> RandomForestClassifier:
    used = ~described.held_out
    forest = RandomForestClassifier(
        n_estimators=TREES, max_depth=MAX_DEPTH, min_samples_leaf=leaf, random_state=seed, n_jobs=1
    )
    return forest.fit(described.features[used], described.is_kilonova[used])


def save(trained: RandomForestClassifier, path: Path) -> Forest:
    """Write the forest as plain arrays and return it as the module will read it."""
    with tempfile.TemporaryDirectory() as folder:
        pickled = Path(folder) / "forest.pkl"
        pickled.write_bytes(pickle.dumps(trained))
        read_forest(pickled).save(path)
    return read_forest(path)


def purity_completeness(score: Floats, is_kilonova: Mask) -> tuple[Floats, Floats]:
    """Return purity (NaN where nothing passes) and completeness at `THRESHOLDS`."""
    passing = score > THRESHOLDS[:, None]
    true = (passing & is_kilonova).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return true / passing.sum(axis=1), true / is_kilonova.sum()


def tell_thresholds(console: Console, scores: Mapping[str, Floats], tested: Described) -> None:
    table = Table(title="Held-out alerts: purity / completeness", title_justify="left")
    for name in ("score above", *scores):
        table.add_column(name, justify="right")
    curves = [purity_completeness(score, tested.is_kilonova) for score in scores.values()]
    for k in range(0, TREES, 3):
        figures = (f"{purity[k]:.3f} / {completeness[k]:.3f}" for purity, completeness in curves)
        table.add_row(f"{THRESHOLDS[k]:.2f}", *figures)
    console.print(table)


def tell_kinds(console: Console, scores: Mapping[str, Floats], tested: Described) -> None:
    table = Table(title=f"Share of held-out alerts that score above {THRESHOLD}", title_justify="left")
    for name in ("kind", "alerts", *scores):
        table.add_column(name, justify="right")
    for kind in sorted(set(tested.kind)):
        mask = tested.kind == kind
        shares = (f"{np.mean(score[mask] > THRESHOLD):.4f}" for score in scores.values())
        table.add_row(kind, str(mask.sum()), *shares)
    console.print(table)


def tell_distances(console: Console, ours: Contender, fields: Sequence[Epochs], seed: int) -> None:
    """Tell how often AT2017gfo would be found at growing distances, at random times of the survey."""
    table = Table(title="AT2017gfo, 300 times at each distance", title_justify="left")
    for name in ("Mpc", "scored at all", f"some alert above {THRESHOLD}"):
        table.add_column(name, justify="right")
    magnitudes = kilonova_magnitudes(AT2017GFO)
    for distance in (20, 40, 60, 80, 120, 160):
        rng = np.random.default_rng([seed, distance])
        curves = []
        for number in range(300):
            epochs = fields[int(rng.integers(0, len(fields)))]
            merger_jd = float(rng.uniform(epochs.jd[0] + 30.0, epochs.jd[-1] - 8.0))
            flux = kilonova_flux(magnitudes, merger_jd, distance * 70.0 / 3e5, 5 * np.log10(distance) + 25)
            curves += observe(rng, Source(KILONOVA, "galaxy", {}, random_field(rng), flux), epochs, str(number))
        best: dict[str, float] = {}
        for curve in curves:
            described = describe([curve], ours.components)
            if len(described.kind):
                score = float(ours.score(described)[0])
                best[curve.object_name] = max(score, best.get(curve.object_name, 0.0))
        found = sum(score > THRESHOLD for score in best.values())
        table.add_row(str(distance), f"{len(best) / 300:.2f}", f"{found / 300:.2f}")
    console.print(table)


def tell_other_model(console: Console, ours: Contender, fields: Sequence[Epochs], seed: int) -> None:
    """Tell how the forest does on kilonovae of a model it was not trained with, that of the synthetic sky."""
    rng = np.random.default_rng([seed, 1])
    described = describe(simulate(rng, fields, MODELS[KILONOVA], KILONOVA, 300, 60_000), ours.components)
    share = np.mean(ours.score(described) > THRESHOLD)
    console.print(
        f"{share:.2f} of {len(described.kind)} alerts of the synthetic sky's kilonovae score above {THRESHOLD}",
        highlight=False,
    )


def tell_real(console: Console, contenders: Sequence[Contender], curves: Sequence[Curve]) -> None:
    """Tell how many real alerts, just as they are, would pass."""
    for contender in contenders:
        described = describe(curves, contender.components)
        passing = contender.score(described) > THRESHOLD
        console.print(
            f"{contender.name}: {passing.sum()} of {len(curves)} real alerts score above {THRESHOLD} "
            f"({len(passing)} can be described); of objects not trained with {passing[described.held_out].sum()} "
            f"({described.held_out.sum()})",
            highlight=False,
            soft_wrap=True,
        )


def plot(path: Path, scores: Mapping[str, Floats], tested: Described) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only where a figure is made

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for (name, score), style in zip(scores.items(), ("-", "--", ":"), strict=False):
        purity, completeness = purity_completeness(score, tested.is_kilonova)
        left.step(THRESHOLDS, purity, style, color="tab:blue", where="post", label=f"purity, {name}")
        left.step(THRESHOLDS, completeness, style, color="tab:orange", where="post", label=f"completeness, {name}")
        right.plot(completeness, purity, style, color="black", marker=".", label=name)
    left.axvline(THRESHOLD, color="grey", linewidth=0.8)
    left.set(xlabel="score above", ylabel="share", ylim=(0, 1.02), xlim=(0, 1))
    right.set(xlabel="completeness", ylabel="purity", ylim=(0, 1.02), xlim=(0, 1))
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.0, -0.14), ncols=len(scores), frameon=False)
    right.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.0, -0.14), ncols=len(scores), frameon=False)
    kilonovae = int(tested.is_kilonova.sum())
    figure.suptitle(f"{len(tested.kind)} held-out alerts, {kilonovae} of kilonovae", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main(
    real: Annotated[str, typer.Option(help="Folder of real packets, none of a kilonova; empty: none.")] = "",
    out: Annotated[Path, typer.Option(help="Where the forest is written.")] = OWN_FOREST,
    figure: Annotated[Path, typer.Option(help="Where the plot is written.")] = Path(
        "docs/figures/kilonova_purity_completeness.png"
    ),
    kilonovae: Annotated[int, typer.Option(help="Kilonovae seen twice in both bands.")] = 3000,
    others: Annotated[int, typer.Option(help="Other objects.")] = 15000,
    fields: Annotated[int, typer.Option(help="Fields of the survey.")] = 600,
    leaf: Annotated[int, typer.Option(help="Fewest training curves in a leaf.")] = 3,
    production: Annotated[tuple[str, str], typer.Option(help="Another forest and its components, to compare with.")] = (
        "",
        "",
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Simulate, train, compare, write."""
    console = Console(width=120)
    rng = np.random.default_rng(seed)
    components = read_components(checked_file(OWN_COMPONENTS))
    observed = histories(rng, fields)
    curves = simulate_all(rng, observed, kilonovae, others)
    alerts = [real_curve(packet) for packet in real_packets(real)] if real else []
    curves += [curve for alert in alerts for _ in range(REAL_CUTS) for curve in real_cuts(rng, alert)]
    described = describe(curves, components)
    used = ~described.held_out
    console.print(f"trained with {used.sum()} alerts, {described.is_kilonova[used].sum()} of kilonovae")
    ours = Contender(OURS, save(train(described, leaf, seed), out), components)
    contenders = [ours, Contender(THEIRS, read_forest(checked_file(BASELINE)), components)]
    if all(production):
        forest, own_components = (Path(name) for name in production)
        contenders.append(Contender(PRODUCTION, read_forest(forest), read_components(own_components)))

    unseen = [curve for curve in curves if is_held_out(curve.object_name)]
    tested = describe(unseen, components)
    scores = {contender.name: contender.score(describe(unseen, contender.components)) for contender in contenders}
    tell_thresholds(console, scores, tested)
    tell_kinds(console, scores, tested)
    tell_distances(console, ours, observed, seed)
    tell_other_model(console, ours, observed, seed)
    if alerts:
        tell_real(console, contenders, alerts)
    plot(figure, scores, tested)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    console.print(f"{out}: {out.stat().st_size:,} bytes, sha256 {digest}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
