"""A bidirectional LSTM of two layers, run over many sequences and several networks at once, in NumPy.

Möller & de Boissière 2020, MNRAS 491, 4277. Networks of one shape are stacked, and so are the two directions.

The result for a sequence must not depend, not even in its last bit, on the others of its batch. Matrix products of
different shapes are summed in different orders, so every product here has the same shape: sequences run in blocks of
a fixed number, an incomplete block filled up with empty ones.

The numbers are float64: with float32 the scores of long light curves move by 3·10⁻⁶, with float64 all are within
10⁻⁶ of production's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating]

#: Sequences run together.
BLOCK = 64
#: Rows of one matrix product. Small enough that the linear algebra library does not split it over threads: threads
#: that wait for one another at every step cost tenfold on a busy machine.
ROWS = 16
DIRECTIONS = ("", "_reverse")
LAYERS = 2


class StackedLstm:
    """Networks of one shape.

    Parameters
    ----------
    networks : sequence of mapping of str to numpy.ndarray
        The tensors of each, named as torch names them.
    """

    def __init__(self, networks: Sequence[Mapping[str, AnyFloats]]) -> None:
        self._networks = len(networks)
        self._layers = [self._stack(networks, layer) for layer in range(LAYERS)]
        self._units = networks[0]["rnn_layer.weight_hh_l0"].shape[1]
        self._out_weight = np.stack([network["output_layer.weight"].T for network in networks]).astype(np.float64)
        self._out_bias = np.stack([network["output_layer.bias"] for network in networks]).astype(np.float64)

    @staticmethod
    def _stack(networks: Sequence[Mapping[str, AnyFloats]], layer: int) -> tuple[Array, Array]:
        """Return weights (network·direction, inputs + units, gates) and biases (network·direction, 1, gates).

        The rows of the gates i, f and o are halved: σ(z) = (1 + tanh(z/2))/2, so one tanh serves all four gates, and
        halving is exact.
        """
        weights, biases = [], []
        for network in networks:
            for direction in DIRECTIONS:
                name = f"_l{layer}{direction}"
                weight = [network[f"rnn_layer.weight_{kind}{name}"].T for kind in ("ih", "hh")]
                bias = [network[f"rnn_layer.bias_{kind}{name}"].astype(np.float64) for kind in ("ih", "hh")]
                weights.append(np.concatenate(weight))
                biases.append(bias[0] + bias[1])
        units = weights[0].shape[1] // 4
        scale = np.full(4 * units, 0.5)
        scale[2 * units : 3 * units] = 1.0
        return np.stack(weights) * scale, (np.stack(biases) * scale)[:, None, :]

    def probabilities(
        self, rows: Sequence[AnyFloats], begin: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the probability of the first class, for each network and sequence.

        Parameters
        ----------
        rows : sequence of numpy.ndarray
            For each network the steps of all sequences, one row a step.
        begin, lengths : numpy.ndarray
            First row of each sequence, and how many it has, at least one.
        """
        result = np.empty((self._networks, len(lengths)))
        by_length = np.argsort(lengths, kind="stable")  # blocks of like lengths waste few steps
        for start in range(0, len(lengths), BLOCK):
            chosen = by_length[start : start + BLOCK]
            result[:, chosen] = self._block(rows, begin[chosen], lengths[chosen])[:, : len(chosen)]
        return result

    def _block(
        self, rows: Sequence[AnyFloats], begin: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        filled = np.zeros(BLOCK, dtype=np.int64)
        filled[: len(lengths)] = lengths
        first = np.zeros(BLOCK, dtype=np.int64)
        first[: len(begin)] = begin
        steps = np.arange(filled.max())[:, None]
        inside = steps < filled
        forward = np.where(inside, steps, 0)
        backward = np.where(inside, filled - 1 - steps, 0)
        # (step, network·direction, sequence, column): each direction reads from its own end
        order = first + np.stack([forward, backward], axis=1)
        inputs = np.concatenate([network[order] for network in rows], axis=1)
        outputs = self._layer(0, inputs, inside)
        outputs = self._layer(1, self._both_directions(outputs, backward), inside)
        return self._head(outputs, inside, filled)

    def _both_directions(self, outputs: Array, backward: npt.NDArray[np.int64]) -> Array:
        """Join the two directions of a layer at each step, and lay them out for the two directions of the next."""
        sequence = np.arange(BLOCK)[None, :]
        joined = []
        for network in range(self._networks):
            ahead, behind = outputs[:, 2 * network], outputs[:, 2 * network + 1]
            forward = np.concatenate([ahead, behind[backward, sequence]], axis=2)
            joined += [forward, forward[backward, sequence]]
        return np.stack(joined, axis=1)

    def _layer(self, layer: int, inputs: AnyFloats, inside: npt.NDArray[np.bool_]) -> Array:
        """Run one layer; a sequence that has ended keeps its state."""
        weight, bias = self._layers[layer]
        units, stacked, width = self._units, 2 * self._networks, inputs.shape[3]
        outputs = np.zeros((len(inputs), stacked, BLOCK, units))
        both = np.zeros((stacked, BLOCK, width + units))
        tiles = both.reshape(stacked, BLOCK // ROWS, ROWS, width + units)  # the same memory
        cell = np.zeros((stacked, BLOCK, units))
        for step, active in enumerate(inside):
            both[..., :width] = inputs[step]
            gates = np.matmul(tiles, weight[:, None]).reshape(stacked, BLOCK, 4 * units)
            gates += bias
            np.tanh(gates, out=gates)
            enter, forget, new, leave = (gates[..., k * units : (k + 1) * units] for k in range(4))
            after = 0.5 * ((1 + forget) * cell + (1 + enter) * new)
            hidden = 0.5 * (1 + leave) * np.tanh(after)
            if active.all():
                cell, both[..., width:] = after, hidden
            else:
                cell = np.where(active[:, None], after, cell)
                both[..., width:] = np.where(active[:, None], hidden, both[..., width:])
            outputs[step] = hidden
        return outputs

    def _head(
        self, outputs: Array, inside: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Average over the steps, and return the softmax of the linear layer for the first class."""
        total = np.zeros(outputs.shape[1:])
        for step, active in enumerate(inside):
            total += np.where(active[:, None], outputs[step], 0.0)
        mean = total / np.maximum(lengths, 1)[:, None]
        directions = mean.reshape(self._networks, 2, BLOCK, self._units).transpose(0, 2, 1, 3)
        features = np.ascontiguousarray(directions).reshape(self._networks, BLOCK, 2 * self._units)
        logits = np.matmul(features, self._out_weight) + self._out_bias[:, None, :]
        # of two classes the first: 1/(1 + exp(second − first)), written so that it cannot overflow
        return 0.5 * (1.0 + np.tanh(0.5 * (logits[..., 0] - logits[..., 1])))
