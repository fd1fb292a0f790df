from __future__ import annotations

import collections
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.errors import DataError
from fink_broker.science.supernnova.lstm import StackedLstm
from fink_broker.science.supernnova.steps import make_steps, visit_starts
from fink_broker.science.supernnova.weights import MAGIC, PROTOCOL, read_tensors


class Evil:
    def __reduce__(self):
        return (print, ("run from a model file",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip",
        pickle.dumps(MAGIC),
        b"".join(pickle.dumps(part) for part in (1, PROTOCOL, {}, {}, [])),
        b"".join(pickle.dumps(part) for part in (MAGIC, PROTOCOL, {}, Evil(), [])),
        b"".join(pickle.dumps(part) for part in (MAGIC, PROTOCOL, {}, {}, ["0"])) + struct.pack("<q", 9),
        b"".join(pickle.dumps(part) for part in (MAGIC, PROTOCOL, {}, {"w": collections.Counter()}, [])),
    ],
)
def test_a_file_that_is_no_network_is_refused_and_nothing_of_it_runs(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="network cannot be read"):
        read_tensors(content)
    assert capsys.readouterr().out == ""


def naive_visit_starts(times: list[float]) -> list[float]:
    starts: list[float] = []
    for k, now in enumerate(times):
        begins = k == 0 or now == times[k - 1] or now - starts[-1] > 0.33
        starts.append(now if begins else starts[-1])
    return starts


@given(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.3, 0.33, 0.4, 0.7, 0.75, 5.0]), max_size=8), max_size=5))
def test_visits_begin_as_in_training(alerts: list[list[float]]) -> None:
    alerts = [sorted(times) for times in alerts]
    owner = np.repeat(np.arange(len(alerts)), [len(times) for times in alerts])
    flat = np.array([time for times in alerts for time in times])
    expected = [start for times in alerts for start in naive_visit_starts(times)]
    assert visit_starts(owner, len(alerts), flat).tolist() == expected


def test_a_step_takes_the_best_point_of_each_band() -> None:
    steps = make_steps(
        np.zeros(5, dtype=np.int64),
        2,
        jd=np.array([10.0, 9.9, 9.8, 12.0, 13.0]),
        fid=np.array([1.0, 2.0, 1.0, 3.0, 2.0]),
        flux=np.array([100.0, 200.0, 300.0, 400.0, 500.0]),
        flux_error=np.array([2.0, 4.0, 3.0, 1.0, 5.0]),
    )
    # g by its smaller error, r; an i-band visit is a step without fluxes; the second alert has none
    np.testing.assert_allclose(steps.numbers, [[100, 200, 2, 4, 0], [0, 0, 0, 0, 2.2], [0, 500, 0, 5, 1]], atol=1e-12)
    assert steps.bands.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert steps.offsets.tolist() == [0, 3, 3]


def random_network(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = {"output_layer.weight": (2, 64), "output_layer.bias": (2,)}
    for layer, width in enumerate((8, 64)):
        for end in ("", "_reverse"):
            shapes[f"rnn_layer.weight_ih_l{layer}{end}"] = (128, width)
            shapes[f"rnn_layer.weight_hh_l{layer}{end}"] = (128, 32)
            shapes[f"rnn_layer.bias_ih_l{layer}{end}"] = shapes[f"rnn_layer.bias_hh_l{layer}{end}"] = (128,)
    return {name: random.normal(scale=0.3, size=shape).astype(np.float32) for name, shape in shapes.items()}


def naive_probability(network: dict[str, np.ndarray], rows: np.ndarray) -> float:
    """One sequence at a time, as the formula stands in the textbook."""

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-values))

    def run(inputs: np.ndarray, end: str) -> np.ndarray:
        w_ih, w_hh, b_ih, b_hh = (
            network[f"rnn_layer.{kind}_{end}"].astype(float)
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden, cell, outputs = np.zeros(32), np.zeros(32), []
        for row in inputs:
            i, f, g, o = np.split(w_ih @ row + b_ih + w_hh @ hidden + b_hh, 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            outputs.append(hidden)
        return np.array(outputs)

    values = rows.astype(float)
    for layer in (0, 1):
        backward = run(values[::-1], f"l{layer}_reverse")[::-1]
        values = np.concatenate([run(values, f"l{layer}"), backward], axis=1)
    logits = network["output_layer.weight"].astype(float) @ values.mean(axis=0) + network["output_layer.bias"]
    return float(1 / (1 + np.exp(logits[1] - logits[0])))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=70), st.integers(0, 99))
def test_the_batched_network_is_the_textbook_network(lengths: list[int], seed: int) -> None:
    networks = [random_network(1), random_network(2)]
    random = np.random.default_rng(seed)
    rows = [random.normal(size=(sum(lengths), 8)).astype(np.float32) for _ in networks]
    begin = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    found = StackedLstm(networks).probabilities(rows, begin, np.array(lengths))
    for number, (network, values) in enumerate(zip(networks, rows, strict=True)):
        expected = [
            naive_probability(network, values[start : start + length])
            for start, length in zip(begin, lengths, strict=True)
        ]
        np.testing.assert_allclose(found[number], expected, rtol=0, atol=1e-12)
