"""What the classifiers say of a sky whose truth is known: true class against ``finkclass`` and against each score.

    python -m benchmarks.confusion --alerts 20000 --figures docs/figures

The synthetic sky is no telescope: it shows whether a class comes out where it should, not how pure a topic is on real
alerts. Alerts pass the quality cuts of the configuration first, as in ``raw2science``.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fink_broker.config.model import QualityConfig
from fink_broker.science import outcome
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import build_pipeline
from fink_broker.science.testing import batch_of, offline_config
from fink_broker.simulate.sky import DEFAULT_WEIGHTS, synthetic_alerts

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH = 500
#: Scores that are drawn, and the value above which a topic takes them for real; None where there is none.
SCORES: dict[str, float | None] = {
    "snn_sn_vs_all": 0.5,
    "snn_snia_vs_nonia": 0.5,
    "rf_snia_vs_nonia": 0.5,
    "rf_kn_vs_nonkn": 0.5,
    "mulens": 0.0,
    "anomaly_score": None,
}
Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=20_000, help="alerts of the synthetic night (default 20000)")
    parser.add_argument("--seed", type=int, default=0, help="which sky")
    parser.add_argument("--figures", type=Path, help="folder for confusion.png and scores.png")
    options = parser.parse_args()
    pipeline = build_pipeline(offline_config())
    rows = classify(pipeline, options.alerts, options.seed)
    counts = Counter((row["true_class"], row["finkclass"]) for row in rows)
    said = [name for name, _ in Counter(row["finkclass"] for row in rows).most_common()]
    true = [name for name in DEFAULT_WEIGHTS if any(row["true_class"] == name for row in rows)]
    Console(width=200).print(as_table(counts, true, said, len(rows)))
    if options.figures:
        options.figures.mkdir(parents=True, exist_ok=True)
        draw_confusion(counts, true, said, options.figures / "confusion.png")
        draw_scores(rows, true, options.figures / "scores.png")


def classify(pipeline: Pipeline, alerts: int, seed: int) -> Rows:
    """Return for each alert that passes the cuts its true class, its class, and its scores (None: skipped)."""
    pairs = iter(synthetic_alerts(alerts, seed=seed))
    giver = {column.name: module.name for module in pipeline.modules for column in module.outputs}
    rows: Rows = []
    for _ in track(range(0, alerts, BATCH), description="classifying"):
        some = [(packet, truth) for packet, truth in itertools.islice(pairs, BATCH) if passes(packet["candidate"])]
        science = pipeline.run(batch_of(pipeline, [packet for packet, _ in some]))
        columns = {name: science.field(name).to_pylist() for name in ("finkclass", *SCORES)}
        skipped = science.field(outcome.SKIPPED).to_pylist()
        for number, (_, truth) in enumerate(some):
            values = {name: column[number] for name, column in columns.items()}
            values |= {name: None for name in SCORES if giver[name] in skipped[number]}
            rows.append({"true_class": truth.true_class, **values})
    return rows


def passes(candidate: dict[str, Any], cuts: QualityConfig = QualityConfig()) -> bool:  # noqa: B008 - frozen
    """Tell whether a candidate passes the quality cuts."""
    return (
        candidate["nbad"] <= cuts.nbad_max and candidate["rb"] >= cuts.rb_min and candidate["fid"] not in cuts.drop_fid
    )


def as_table(counts: Counter[tuple[str, str]], true: list[str], said: list[str], total: int) -> Table:
    table = Table("true class", *said, "all", title=f"{total:,} synthetic alerts that passed the cuts")
    for name in true:
        row = [counts[name, other] for other in said]
        table.add_row(name, *(str(number) if number else "" for number in row), str(sum(row)))
    return table


def draw_confusion(counts: Counter[tuple[str, str]], true: list[str], said: list[str], file: Path) -> None:
    """Draw the table with each row coloured by its shares."""
    numbers = np.array([[counts[name, other] for other in said] for name in true], dtype=float)
    shares = numbers / numbers.sum(axis=1, keepdims=True)
    figure, axes = plt.subplots(figsize=(1.6 + 1.05 * len(said), 1.4 + 0.45 * len(true)), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*numbers.shape):
        if numbers[row, column]:
            text = f"{100 * shares[row, column]:.1f} %\n{numbers[row, column]:,.0f}"
            dark = shares[row, column] > 0.5
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    axes.set_xticks(range(len(said)), said, rotation=30, ha="right")
    axes.set_yticks(range(len(true)), true)
    axes.set_xlabel("finkclass")
    axes.set_ylabel("true class")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def draw_scores(rows: Rows, true: list[str], file: Path) -> None:
    """Draw for each score its cumulative distribution within each true class, of alerts that have a score."""
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    colours = dict(zip(true, plt.get_cmap("tab10").colors, strict=False))  # type: ignore[attr-defined]
    for panel, (score, threshold) in zip(axes.flat, SCORES.items(), strict=True):
        for name in true:
            values = scored(rows, name, score)
            if len(values):
                above = 1.0 - np.arange(len(values)) / len(values)
                panel.step(values, above, where="pre", color=colours[name], label=f"{name} ({len(values)})")
        if threshold is not None:
            panel.axvline(threshold, color="gray", linestyle=":")
        panel.set_title(score)
        panel.set_ylabel("share of scored alerts above")
        if panel.has_data():
            panel.legend(fontsize=6)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def scored(rows: Rows, true_class: str, score: str) -> npt.NDArray[np.float64]:
    """Return the scores of the alerts of a class that the module looked at, ascending."""
    values = [row[score] for row in rows if row["true_class"] == true_class]
    return np.sort([value for value in values if value is not None])


if __name__ == "__main__":
    main()
