"""Synthetic packets: valid, repeatable, consistent in themselves, and mixed as asked."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

import fastavro
import numpy as np
import pyarrow.parquet as pq
import pytest
from fastavro.schema import to_parsing_canonical_form
from fastavro.validation import validate

from fink_broker.alert.survey import ZTF
from fink_broker.errors import UsageError
from fink_broker.simulate.sky import DEFAULT_WEIGHTS, Truth, synthetic_alerts, synthetic_packets, write_truth
from fink_broker.simulate.sky.names import CANDIDATE, FORCED, PREVIOUS

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "schemas" / "ztf" / "alert_4.02.avsc"
N = 1200
FIRST_NIGHT = 2457754.5
Alerts = list[tuple[dict, Truth]]


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(SCHEMA_FILE.read_text())


@pytest.fixture(scope="module")
def alerts() -> Alerts:
    return list(synthetic_alerts(N, seed=1))


def detected(packet: dict) -> list[dict]:
    return [row for row in packet["prv_candidates"] or [] if row["magpsf"] is not None]


def of(alerts: Alerts, kind: str) -> list[dict]:
    return [packet for packet, truth in alerts if truth.true_class == kind]


def test_packets_are_valid_and_survive_avro(alerts: Alerts, schema: dict) -> None:
    parsed = fastavro.parse_schema(schema)
    for packet, _ in alerts[::4]:
        validate(packet, parsed, strict=True)
    buffer = io.BytesIO()
    fastavro.writer(buffer, parsed, [packet for packet, _ in alerts[:100]])
    buffer.seek(0)
    assert list(fastavro.reader(buffer)) == [packet for packet, _ in alerts[:100]]


def test_names_follow_the_schema(schema: dict) -> None:
    fields = {field["name"]: field["type"] for field in schema["fields"]}
    assert tuple(f["name"] for f in fields["candidate"]["fields"]) == CANDIDATE
    assert tuple(f["name"] for f in fields["prv_candidates"][1]["items"]["fields"]) == PREVIOUS
    assert tuple(f["name"] for f in fields["fp_hists"][1]["items"]["fields"]) == FORCED


def test_schema_is_that_of_real_packets(shared_data: Path, schema: dict) -> None:
    with tarfile.open(shared_data / "ztf" / "ztf_real_packets.tar.gz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None or not member.name.endswith(".avro"):
                continue
            reader = fastavro.reader(stream)
            if next(reader)["schemavsn"] == "4.02":
                written = json.loads(reader.metadata["avro.schema"])
                assert to_parsing_canonical_form(schema) == to_parsing_canonical_form(written)
                return
    pytest.fail("no packet of schema 4.02 among the real ones")


def test_same_seed_same_sky_and_smaller_night_is_its_beginning(alerts: Alerts) -> None:
    assert list(synthetic_alerts(150, seed=1)) == alerts[:150]
    other = list(synthetic_packets(20, seed=2))
    assert other[0]["objectId"] != alerts[0][0]["objectId"]
    assert other[0]["candidate"]["magpsf"] != alerts[0][0]["candidate"]["magpsf"]


def test_time_order_and_night(alerts: Alerts) -> None:
    times = [packet["candidate"]["jd"] for packet, _ in alerts]
    assert times == sorted(times)
    assert {ZTF.night(jd) for jd in times} == {"20240901"}
    gaps = np.diff(sorted(set(times))) * 86400
    assert gaps.min() > 30.9
    assert gaps.max() < 40.1
    assert next(synthetic_packets(1, 0, night="20250115"))["candidate"]["jd"] == pytest.approx(2460690.63, abs=0.02)


def test_identifiers(alerts: Alerts) -> None:
    candids = [packet["candid"] for packet, _ in alerts]
    assert len(set(candids)) == N
    for packet, truth in alerts:
        c = packet["candidate"]
        days = c["pid"] // 10**9 + (c["pid"] // 10**4 % 10**5) / 1e5
        assert FIRST_NIGHT + days == pytest.approx(c["jd"], abs=1.1e-5)
        assert c["pid"] % 10**4 == c["rcid"] * 100 + 15
        assert c["nid"] == c["pid"] // 10**9
        assert packet["candid"] == c["candid"] == truth.candid
        offset = packet["candid"] - c["pid"] * 10**6
        assert 0 <= offset - (15000 if c["isdiffpos"] == "t" else 10000) < 5000
        assert packet["objectId"].startswith("ZTF24")
        assert len(packet["objectId"]) == 12
        assert (packet["schemavsn"], packet["publisher"]) == ("4.02", "ZTF (www.ztf.caltech.edu)")


def test_histories_are_consistent(alerts: Alerts) -> None:
    for packet, _ in alerts:
        c, history = packet["candidate"], packet["prv_candidates"] or []
        times = [row["jd"] for row in history]
        assert times == sorted(times)
        assert all(c["jd"] - 30 <= jd < c["jd"] for jd in times)
        found = detected(packet)
        assert c["ndethist"] >= len(found) + 1
        assert c["ncovhist"] >= c["ndethist"]
        assert c["jdstarthist"] <= min([row["jd"] for row in found], default=c["jd"])
        assert c["jdendhist"] == c["jd"]
        for row in [*found, c]:
            assert row["sigmapsf"] <= 1.0858 / 5
            assert row["magpsf"] < row["diffmaglim"] + 0.35
            assert row["isdiffpos"] in ("t", "f")
        limits = [row for row in history if row["magpsf"] is None]
        assert all(row["candid"] is None and row["diffmaglim"] > 18 for row in limits)


def test_a_measurement_belongs_to_one_object(alerts: Alerts) -> None:
    owner: dict[int, str] = {}
    for packet, _ in alerts:
        for candid in [packet["candid"], *(row["candid"] for row in detected(packet))]:
            assert owner.setdefault(candid, packet["objectId"]) == packet["objectId"]
    assert len(owner) > 4 * N


def test_an_object_seen_twice_keeps_place_and_past(alerts: Alerts) -> None:
    by_name = defaultdict(list)
    for packet, _ in alerts:
        by_name[packet["objectId"]].append(packet)
    twice = [packets for packets in by_name.values() if len(packets) > 1]
    assert len(twice) > 30
    for first, second in ((p[0], p[1]) for p in twice):
        assert abs(first["candidate"]["dec"] - second["candidate"]["dec"]) < 1.5 / 3600
        last = next(row for row in second["prv_candidates"] if row["jd"] == first["candidate"]["jd"])
        for name in ("candid", "magpsf", "ra", "fid", "rb", "magnr"):
            assert last[name] == first["candidate"][name]
        # the exposures of the past are the same ones
        shared = {row["jd"]: row for row in first["prv_candidates"] or []}
        assert all(shared[r["jd"]] == r for r in second["prv_candidates"] if r["jd"] in shared)


def test_classes_mix_as_asked(alerts: Alerts) -> None:
    counts = Counter(truth.true_class for _, truth in alerts)
    assert set(counts) == set(DEFAULT_WEIGHTS)
    for kind, weight in DEFAULT_WEIGHTS.items():
        spread = 4.5 * (N * weight * (1 - weight)) ** 0.5
        assert abs(counts[kind] - N * weight) < spread + 1
    mixed = Counter(t.true_class for _, t in synthetic_alerts(200, 5, weights={"AGN": 3, "flare": 1}))
    assert set(mixed) == {"AGN", "flare"}
    assert 120 < mixed["AGN"] < 180


def test_classes_look_like_themselves(alerts: Alerts) -> None:
    for packet in of(alerts, "asteroid"):
        assert not detected(packet)
        assert packet["fp_hists"] is None
    known = [p["candidate"] for p in of(alerts, "asteroid") if p["candidate"]["ssnamenr"] != "null"]
    assert len(known) > 0.7 * len(of(alerts, "asteroid"))
    assert all(0 <= c["ssdistnr"] < 5 and abs(c["ssmagnr"] - c["magpsf"]) < 1.5 for c in known)
    assert all(p["candidate"]["ssdistnr"] == -999.0 for p in of(alerts, "SN Ia"))
    for kind in ("SN Ia", "SN II", "kilonova", "flare", "microlensing"):
        assert all(p["candidate"]["isdiffpos"] == "t" for p in of(alerts, kind))
    signs = Counter(p["candidate"]["isdiffpos"] for p in of(alerts, "RR Lyrae"))
    assert min(signs["t"], signs["f"]) > 20
    for kind in ("RR Lyrae", "eclipsing binary", "flare"):
        assert all(p["candidate"]["distnr"] < 1.5 and p["candidate"]["sgscore1"] > 0.9 for p in of(alerts, kind))
    real = np.median([p["candidate"]["rb"] for p in of(alerts, "SN Ia")])
    assert real > 0.75 > 0.6 > np.median([p["candidate"]["rb"] for p in of(alerts, "bogus")])
    assert max(p["candidate"]["drb"] for p in of(alerts, "bogus")) < 0.5


def test_every_cut_cuts_something(alerts: Alerts) -> None:
    candidates = [packet["candidate"] for packet, _ in alerts]
    assert 5 < sum(c["nbad"] > 0 for c in candidates) < 0.06 * N
    assert 5 < sum(c["fid"] == 3 for c in candidates) < 0.08 * N
    assert 0.05 * N < sum(c["rb"] < 0.55 for c in candidates) < 0.3 * N
    assert {p["fp_hists"] is None for p, _ in alerts} == {True, False}


def test_forced_photometry_agrees_with_the_alert(alerts: Alerts) -> None:
    for packet in (p for p, _ in alerts if p["fp_hists"]):
        last, c = packet["fp_hists"][-1], packet["candidate"]
        assert last["jd"] == c["jd"]
        mag = last["magzpsci"] - 2.5 * np.log10(abs(last["forcediffimflux"]))
        assert mag == pytest.approx(c["magpsf"], abs=1e-3)
        assert (last["forcediffimflux"] > 0) == (c["isdiffpos"] == "t")


def test_positions(alerts: Alerts) -> None:
    for packet, _ in alerts:
        c = packet["candidate"]
        assert 0 <= c["ra"] < 360
        assert 0 <= c["ranr"] < 360
        assert -30 < c["dec"] < 90
        arcsec = 3600 * np.hypot(
            ((c["ra"] - c["ranr"] + 180) % 360 - 180) * np.cos(np.radians(c["dec"])), c["dec"] - c["decnr"]
        )
        assert arcsec / 1.0125 == pytest.approx(c["distnr"], abs=0.02)
    assert len({packet["candidate"]["field"] for packet, _ in alerts}) > 20


def test_truth_is_apart(alerts: Alerts, tmp_path: Path) -> None:
    words = set(DEFAULT_WEIGHTS)
    assert not any(value in words for packet, _ in alerts for value in packet["candidate"].values() if value)
    path = tmp_path / "truth.parquet"
    assert write_truth(path, (truth for _, truth in alerts)) == N
    table = pq.read_table(path)
    assert table.column_names == ["candid", "objectId", "true_class", "parameters"]
    row = table.slice(7, 1).to_pylist()[0]
    truth = alerts[7][1]
    assert (row["candid"], row["true_class"]) == (truth.candid, truth.true_class)
    assert dict(row["parameters"]) == truth.parameters


def test_bad_requests_say_why() -> None:
    with pytest.raises(UsageError, match="unicorn"):
        synthetic_alerts(1, 0, weights={"unicorn": 1.0})
    with pytest.raises(UsageError, match="20241301"):
        synthetic_alerts(1, 0, night="20241301")
    with pytest.raises(UsageError, match="negative"):
        synthetic_alerts(-1, 0)
    with pytest.raises(UsageError, match="weights"):
        synthetic_alerts(1, 0, weights={"AGN": 0.0})
    assert list(synthetic_alerts(0, 0)) == []
