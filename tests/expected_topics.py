"""Real alerts as the science table holds them, and the topics production put them into."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.batch import field_types
from fink_broker.simulate.retime import retime

#: shipped packets; with their original times; with these and labels that label rules need
Which = Literal["20231018", "20231018_retimed", "20231018_labels"]
SETS: tuple[Which, ...] = ("20231018", "20231018_retimed", "20231018_labels")

#: science.md §6: alerts of each topic in the three sets; the labels know nothing of hostless topics.
COUNTS: dict[str, tuple[int, int, int | None]] = {
    "blazar": (0, 0, 45),
    "early_kn_candidates": (0, 0, 37),
    "early_sn_candidates": (0, 21, 7),
    "fast_riser_candidates": (134, 68, 44),
    "first_pass_candidates": (0, 0, 0),
    "sso_fink_candidates": (108, 109, 109),
    "sso_ztf_candidates": (94, 94, 94),
    "kn_candidates": (38, 4, 3),
    "magnetic_cvs": (0, 0, 22),
    "microlensing_candidates": (19, 19, 19),
    "new_hostless": (37, 37, None),
    "intra_night_hostless": (0, 0, None),
    "inter_night_hostless": (0, 0, None),
    "rate_based_kn_candidates": (0, 1, 0),
    "simbad_grav_candidates": (0, 0, 39),
    "sn_candidates": (161, 270, 158),
    "tns_match": (0, 0, 72),
    "unknowns": (168, 86, 38),
    "vra": (166, 166, 40),
    "yso_candidates": (0, 0, 43),
    "yso_spicy_candidates": (0, 0, 19),
}

#: Columns of the labels that stand in for those of the science table; ra and dec for those of the candidate.
_LABELS = ("cdsxmatch", "tns", "DR3Name", "spicy_id", "spicy_class", "finkclass")
#: Values where catalogues know nothing, as production's topics were evaluated with.
_NOTHING_KNOWN = {"DR3Name": "nan", "spicy_id": -1, "spicy_class": "Unknown"}
_PLAIN = (
    "cdsxmatch", "tns", "roid", "nalerthist", "rf_snia_vs_nonia", "snn_snia_vs_nonia", "snn_sn_vs_all", "mulens",
    "rf_kn_vs_nonkn", "finkclass", "is_transient", "gcvs", "vsx", "x3hsp", "x4lac", "anomaly_score",
)  # fmt: skip
_ELEPHANT = {"elephant_kstest_science": "ks_science_mean", "elephant_kstest_template": "ks_template_mean"}
#: Score of an alert the hostless module did not look at.
_NO_SCORE = -99.0

_tables: dict[tuple[Path, str], pa.Table] = {}


def expected_topics(shared_data: Path, which: Which) -> pd.DataFrame:
    """Return production's decisions: a column of booleans a topic, in the order of `science_table`."""
    return pd.read_parquet(shared_data / "expected" / f"filters_{which}.parquet")


def science_table(shared_data: Path, unpacked: Callable[..., list[bytes]], which: Which) -> pa.Table:
    """Return the 558 alerts of 2023-10-18 with production's science columns, nested as the science table, no cutouts.

    Parameters
    ----------
    shared_data, unpacked
        The fixtures of these names.
    which : str
        One of `SETS`.
    """
    key = (shared_data, which)
    if key not in _tables:
        _tables[key] = _make(shared_data, unpacked, which)
    return _tables[key]


def _make(shared_data: Path, unpacked: Callable[..., list[bytes]], which: Which) -> pa.Table:
    folder = shared_data / "expected"
    retimed = which != "20231018"
    science = pq.read_table(folder / f"science_20231018{'_retimed' if retimed else ''}.parquet")
    by_candid = {packet["candid"]: packet for packet in _packets(shared_data, unpacked)}
    packets = [by_candid[candid] for candid in science["candid"].to_pylist()]
    assert len(packets) == len(by_candid) == 558
    if retimed:
        packets = [retime(packet) for packet in packets]
    columns = {name: science[name] for name in _PLAIN}
    columns |= {name: pa.array([value] * len(packets)) for name, value in _NOTHING_KNOWN.items()}
    columns |= {name: science[mean].fill_null(_NO_SCORE) for name, mean in _ELEPHANT.items()}
    names = json.loads((folder / "feature_names.json").read_text())["lc_features"]
    columns |= {name: _features(science[name], names) for name in ("lc_features_g", "lc_features_r")}
    if which == "20231018_labels":
        labels = pq.read_table(folder / f"filters_{which}.parquet")
        assert labels["candid"].equals(science["candid"])
        columns |= {name: labels[name] for name in _LABELS}
        places = zip(packets, labels["ra"].to_pylist(), labels["dec"].to_pylist(), strict=True)
        packets = [packet | {"candidate": packet["candidate"] | {"ra": ra, "dec": dec}} for packet, ra, dec in places]
    return pa.table(_nested(packets) | columns)


def _packets(shared_data: Path, unpacked: Callable[..., list[bytes]]) -> list[dict[str, Any]]:
    key = (shared_data, "packets")
    if key not in _decoded:
        files = unpacked("ztf_public_20231018")
        found = [packet for content in files for packet in fastavro.reader(io.BytesIO(content))]
        _decoded[key] = [
            {name: value for name, value in packet.items() if not name.startswith("cutout")} for packet in found
        ]
    return _decoded[key]


_decoded: dict[tuple[Path, str], list[dict[str, Any]]] = {}


def _nested(packets: list[dict[str, Any]]) -> dict[str, pa.Array]:
    """Return the packets' own columns."""
    root, candidate, history = field_types()
    columns = {name: pa.array([packet.get(name) for packet in packets], kind) for name, kind in root.items()}
    now = pa.struct(list(candidate.items()))
    columns["candidate"] = pa.array([packet["candidate"] for packet in packets], now)
    past = pa.list_(pa.struct(list(history.items())))
    columns["prv_candidates"] = pa.array([packet.get("prv_candidates") for packet in packets], past)
    return columns


def _features(lists: pa.ChunkedArray, names: list[str]) -> pa.Array:
    kind = pa.struct([(name, pa.float64()) for name in names])
    rows = [None if row is None else dict(zip(names, row, strict=True)) for row in lists.to_pylist()]
    return pa.array(rows, kind)
