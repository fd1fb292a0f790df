"""Anomaly models: archives with two forests in ONNX, kept loaded, equal ones once."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from fink_broker.errors import DataError
from fink_broker.science.anomaly.rules import MEANS_G, MEANS_R, RULES, Rule, read_means
from fink_broker.science.files import ANOMALY, checked_file, digests_of

#: Archive of each model that ships with fink-science, by the suffix of its column.
WHEEL_MODELS = {
    suffix: ANOMALY + "_".join(filter(None, ("anomaly_detection_forest_AAD", suffix))) + ".zip"
    for suffix in ("", "beta", "anais", "emille", "julien", "maria")
}

#: Largest forest that is unpacked; those of today have 7 MB.
MAX_MODEL_BYTES = 256 * 2**20


class OnnxForest:
    """A forest in ONNX: one row of 32-bit features in, one score out.

    The score of a row does not depend on the other rows, to the last bit: with one thread the trees are added one after
    the other whatever the number of rows.

    Parameters
    ----------
    content : bytes
        The ONNX file.

    Raises
    ------
    ValueError
        If it is no such forest.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime  # noqa: PLC0415 - takes a sixth of a second, which commands without science save

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # the files declare a wrong shape of the scores, and each call would say so
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its many errors have no other common base
            raise ValueError("it is no model in ONNX") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or inputs[0].type != "tensor(float)":
            raise ValueError("its input is no table of 32-bit numbers")
        self._input = inputs[0].name
        self._output = self._session.get_outputs()[-1].name
        self.features = inputs[0].shape[1]
        self._check()

    def _check(self) -> None:
        """Make sure that there is a rule for the inputs, and one score a row."""
        if self.features not in RULES:
            known = " or ".join(str(width) for width in RULES)
            raise ValueError(f"it wants {self.features} features, not {known}")
        try:
            scores = self.scores(np.zeros((2, self.features), dtype=np.float32))
        except Exception as error:  # as above
            raise ValueError("it cannot be run") from error
        if scores.shape != (2,) or scores.dtype != np.float32:
            raise ValueError("it does not give one 32-bit score a row")

    def scores(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the score of each row, lower is stranger.

        Parameters
        ----------
        rows : numpy.ndarray of float32, shape (rows, features)
        """
        (scores,) = self._session.run([self._output], {self._input: rows})
        return np.asarray(scores).ravel()


@dataclass(frozen=True)
class AnomalyModel:
    """Two forests and the rule that makes one score of theirs.

    Parameters
    ----------
    forest_g, forest_r : OnnxForest
        The forests by the names of their files.
    rule : Rule
        The rule for their number of features.
    """

    forest_g: OnnxForest
    forest_r: OnnxForest
    rule: Rule


@dataclass(frozen=True)
class AnomalyModels:
    """All models in use.

    Parameters
    ----------
    distinct : tuple of AnomalyModel
        Models that differ in their bytes.
    index_of : dict of str to int
        By the suffix of the column, which of them.
    digests : tuple of str
        sha256 of each file in use.
    """

    distinct: tuple[AnomalyModel, ...]
    index_of: dict[str, int]
    digests: tuple[str, ...]


@lru_cache(maxsize=2)
def load_models(further: tuple[tuple[str, str], ...]) -> AnomalyModels:
    """Load the models that ship with fink-science, and further ones; each set once a process.

    Parameters
    ----------
    further : tuple of (str, str)
        Suffix of the column and path of the archive of each further model.

    Raises
    ------
    DataError
        If a file is missing or cannot be used.
    """
    archives = {suffix: checked_file(name).read_bytes() for suffix, name in WHEEL_MODELS.items()}
    archives |= {suffix: _read(suffix, path) for suffix, path in further}
    paths = WHEEL_MODELS | dict(further)
    distinct: dict[tuple[bytes, ...], AnomalyModel] = {}
    index_of = {}
    for suffix, archive in archives.items():
        try:
            contents = read_forests(archive)
            key = tuple(hashlib.sha256(content).digest() for content in contents)
            if key not in distinct:
                distinct[key] = make_model(*contents)
        except ValueError as error:
            raise DataError(f"The anomaly model '{suffix}' ({paths[suffix]}) is unusable: {error}.", _REMEDY) from error
        index_of[suffix] = list(distinct).index(key)
    for means in (MEANS_G, MEANS_R):
        read_means(means)
    digests = digests_of(*WHEEL_MODELS.values(), MEANS_G, MEANS_R)
    digests += tuple(hashlib.sha256(archives[suffix]).hexdigest() for suffix, _ in further)
    return AnomalyModels(tuple(distinct.values()), index_of, digests)


_REMEDY = "Its archive must hold a file forest_g*.onnx and a file forest_r*.onnx; see science.anomaly_models."


def _read(suffix: str, path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise DataError(
            f"The anomaly model '{suffix}' ({path}) cannot be read: {error.strerror}.", "Mend science.anomaly_models."
        ) from error


def read_forests(archive: bytes) -> tuple[bytes, bytes]:
    """Return the contents of ``forest_g*.onnx`` and ``forest_r*.onnx`` of a zip archive.

    Nothing is unpacked to a folder, where files of other models might lie.

    Raises
    ------
    ValueError
        If it is no archive, or there is not one file of each.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return _member(opened, "forest_g*.onnx"), _member(opened, "forest_r*.onnx")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError("it is no zip archive that can be read") from error


def _member(archive: zipfile.ZipFile, pattern: str) -> bytes:
    names = [name for name in archive.namelist() if fnmatch.fnmatchcase(PurePosixPath(name).name, pattern)]
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} files {pattern}, not one")
    if archive.getinfo(names[0]).file_size > MAX_MODEL_BYTES:
        raise ValueError(f"{names[0]} unpacks to more than {MAX_MODEL_BYTES // 2**20} MiB")
    return archive.read(names[0])


def make_model(content_g: bytes, content_r: bytes) -> AnomalyModel:
    """Return the model of two ONNX files; the number of their inputs chooses the rule.

    Raises
    ------
    ValueError
        If one is unusable or they differ in their inputs.
    """
    forest_g, forest_r = OnnxForest(content_g), OnnxForest(content_r)
    if forest_g.features != forest_r.features:
        raise ValueError(f"its forests want {forest_g.features} and {forest_r.features} features")
    return AnomalyModel(forest_g, forest_r, RULES[forest_g.features])
