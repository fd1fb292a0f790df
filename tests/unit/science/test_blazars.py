"""blazar_stats: the standardised fluxes of production, both catalogue forms, and what is not given."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fink_broker.alert.photometry import ZERO_POINT_JY
from fink_broker.config import Config
from fink_broker.config.model import ScienceConfig
from fink_broker.errors import DataError
from fink_broker.science import blazars
from fink_broker.science.batch import AlertBatch
from fink_broker.science.blazars import KEYS, LongLightCurve
from fink_broker.science.files import digests_of
from fink_broker.science.module import SKIPPED, Module
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import NOW, batch_of, check_module, hostile_light_curves, ordinary_alert

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MODULE = blazars.build(Config())
NAME = "ZTF18abvjqkt"  # a blazar of the shipped list
NOTHING = dict.fromkeys(KEYS, -1.0)


def stats(packets: Sequence[dict], module: Module = MODULE) -> list[dict[str, float]]:
    pipeline = Pipeline([module])
    result = pipeline.run(batch_of(pipeline, packets))
    assert not any(result.field("science_failed").to_pylist())
    return [dict(entries) for entries in result.field("blazar_stats").to_pylist()]


# --- production


@pytest.mark.parametrize(
    ("name", "packets", "known"),
    [
        ("science_real", "ztf_real_packets", 0),
        ("science_20231018", "ztf_public_20231018", 11),
        ("science_20231018_retimed", "ztf_public_20231018_retimed", 11),
    ],
)
def test_fluxes_and_low_state_are_those_of_production(
    decoded: Callable, shared_data: Path, name: str, packets: str, known: int
) -> None:
    expected = pd.read_parquet(shared_data / "expected" / f"{name}.parquet").set_index("candid")
    alerts = decoded(packets)
    found = stats(alerts)
    expected = expected.loc[[alert["candid"] for alert in alerts]]
    is_blazar = expected["std_flux"].map(len).to_numpy() > 0
    assert is_blazar.sum() == known
    assert [entry != NOTHING for entry in found] == list(is_blazar)
    for row in np.flatnonzero(is_blazar):
        batch = AlertBatch.from_struct(batch_of(Pipeline([MODULE]), [alerts[row]]))
        listed = blazars.catalogue("")
        place = listed.names.to_pylist().index(alerts[row]["objectId"])
        flux, error = blazars.standardised_flux(batch, listed.medians[[place]])
        production = expected.iloc[row]
        np.testing.assert_allclose(flux, production["std_flux"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(error, production["std_flux_sigma"], rtol=0, atol=1e-12)
        low = blazars.mean_flux(batch, flux, blazars.LOW_DAYS)[0] / listed.low[place]
        assert low == pytest.approx(production["blazar_mean30_over_low"], rel=0, abs=1e-12)
        # the column is 32 bit
        assert found[row]["instantness_low"] == np.float32(production["blazar_last_over_low"])
        assert found[row]["robustness_low"] == np.float32(production["blazar_mean30_over_low"])
        assert all(found[row][key] == -1 for key in ("instantness_high", "robustness_high", "cdf_quantile"))


def test_the_shipped_list_is_read_in_jansky() -> None:
    listed = blazars.catalogue("")
    assert len(listed.names) == len(set(listed.names.to_pylist())) == 172
    place = listed.names.to_pylist().index(NAME)
    np.testing.assert_allclose(listed.medians[place], [0.1967602514581951e-3, 0.30276802227161614e-3])
    assert listed.low[place] == 0.6528279801979031
    assert np.isnan(listed.high).all()
    assert MODULE.digests() == digests_of(blazars.SHIPPED) == (listed.digest,)


def test_alerts_of_other_objects_are_left_out() -> None:
    alerts = [ordinary_alert(), ordinary_alert() | {"objectId": NAME}, ordinary_alert() | {"objectId": ""}]
    pipeline = Pipeline([MODULE])
    given = MODULE.compute(AlertBatch.from_struct(batch_of(pipeline, alerts)))
    assert list(given[SKIPPED]) == [True, False, True]
    found = stats(alerts)
    assert found[0] == found[2] == NOTHING
    assert list(found[1]) == list(KEYS)
    assert found[1]["instantness_low"] > 0


# --- a list of our own


def entry(**values: object) -> dict:
    # a median of 1 Jy in g and 2 Jy in r
    return {"ZTF_name": NAME, "medians": {"1": 1.0, "2": 2.0}, "low_threshold": 0.5, "high_threshold": 2.0} | values


def module_with(
    tmp_path: Path, entries: Sequence[dict], provider: object = None, schema: pa.Schema | None = None
) -> Module:
    path = tmp_path / "blazars.parquet"
    pq.write_table(pa.Table.from_pylist(list(entries), schema=schema), path)
    blazars.catalogue.cache_clear()
    return blazars.build(Config(science=ScienceConfig(blazar_catalogue=str(path))), provider)


def blazar_alert(*points: tuple[float, float], fid: int = 1) -> dict:
    """An alert with fluxes (Jy) at times (days before now), the last one the current point."""
    alert = ordinary_alert(points=len(points) - 1) | {"objectId": NAME}
    for point, (days, flux) in zip([*alert["prv_candidates"], alert["candidate"]], points, strict=True):
        # the reference is so faint that it adds nothing
        magnitude = -2.5 * math.log10(flux / ZERO_POINT_JY)
        point |= {"jd": NOW - days, "fid": fid, "magpsf": magnitude, "magnr": 60.0, "sigmagnr": 0.1, "isdiffpos": "t"}
    return alert


def test_low_and_high_state(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()])
    # mean over 40 d is not asked for; over 30 d: steps of 20 and 10 d; over 5 d: only the last two points
    alert = blazar_alert((40, 100.0), (30, 1.0), (10, 2.0), (4, 3.0), (0, 5.0))
    (found,) = stats([alert], module)
    mean_low = (1.5 * 20 + 2.5 * 6 + 4.0 * 4) / 30
    assert found["instantness_low"] == pytest.approx(5.0 / 0.5, rel=1e-6)
    assert found["robustness_low"] == pytest.approx(mean_low / 0.5, rel=1e-6)
    assert found["instantness_high"] == pytest.approx(5.0 / 2.0, rel=1e-6)
    assert found["robustness_high"] == pytest.approx(4.0 / 2.0, rel=1e-6)
    assert found["cdf_quantile"] == -1


def test_each_band_has_its_median(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()])
    (g,) = stats([blazar_alert((3, 1.0), (0, 1.0))], module)
    (r,) = stats([blazar_alert((3, 2.0), (0, 2.0), fid=2)], module)
    (i,) = stats([blazar_alert((3, 2.0), (0, 2.0), fid=3)], module)
    assert g == pytest.approx(r, rel=1e-6)
    assert i == NOTHING


def test_the_high_state_is_not_asked_in_the_low_state(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()])
    (found,) = stats([blazar_alert((3, 0.4), (0, 0.2))], module)
    assert found == pytest.approx(NOTHING | {"instantness_low": 0.4, "robustness_low": 0.6}, rel=1e-6)


def test_one_point_has_no_mean(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()])
    single = blazar_alert((0, 3.0))
    old = blazar_alert((31, 3.0), (0, 3.0))
    same_time = blazar_alert((0, 3.0), (0, 3.0))
    for found in stats([single, old, same_time], module):
        assert found["instantness_low"] == pytest.approx(6.0, rel=1e-6)
        assert found["robustness_low"] == found["robustness_high"] == -1


def test_upper_limits_do_not_count(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()])
    alert = blazar_alert((20, 1.0), (10, 9.0), (0, 1.0))
    alert["prv_candidates"][1]["magpsf"] = None
    assert stats([alert], module) == stats([blazar_alert((20, 1.0), (0, 1.0))], module)


@pytest.mark.parametrize(
    "values",
    [{"medians": None}, {"medians": {"1": None, "2": 1.0}}, {"medians": {"1": 0.0, "2": 0.0}}, {"low_threshold": None}],
)
def test_a_blazar_without_numbers_has_no_low_state(tmp_path: Path, values: dict) -> None:
    module = module_with(tmp_path, [entry(ZTF_name="other"), entry(**values)])
    (found,) = stats([blazar_alert((3, 1.0), (0, 1.0))], module)
    assert found == NOTHING


def test_medians_may_be_a_map_and_names_missing(tmp_path: Path) -> None:
    schema = pa.schema(
        {
            "ZTF_name": pa.string(),
            "medians": pa.map_(pa.string(), pa.float64()),
            "low_threshold": pa.float64(),
            "high_threshold": pa.float64(),
        }
    )
    rows = [entry(ZTF_name=name, medians=[("1", 1.0), ("2", 2.0)]) for name in (NAME, None, " ")]
    alert = blazar_alert((3, 3.0), (0, 3.0))
    assert stats([alert], module_with(tmp_path, rows, schema=schema)) == stats(
        [alert], module_with(tmp_path, [entry()])
    )


def test_the_digest_is_that_of_the_list_in_use(tmp_path: Path) -> None:
    first = module_with(tmp_path, [entry()]).digests()
    second = module_with(tmp_path, [entry(low_threshold=0.6)]).digests()
    assert len(first) == len(second) == 1
    assert first != second


def test_a_file_that_is_no_list_is_told(tmp_path: Path) -> None:
    for module in (
        module_with(tmp_path, [{"name": "x"}]),
        module_with(tmp_path, [entry(medians=json.dumps({"1": 1.0}))]),
    ):
        blazars.catalogue.cache_clear()
        with pytest.raises(DataError, match="blazar list"):
            Pipeline([module]).prepare()
    absent = Config(science=ScienceConfig(blazar_catalogue=str(tmp_path / "absent")))
    with pytest.raises(DataError, match=r"science\.blazar_catalogue"):
        blazars.build(absent).prepare()


# --- light curves of a data release


class Provider:
    def __init__(self, curve: LongLightCurve | None) -> None:
        self.curve = curve
        self.asked: list[tuple[str, float, float]] = []

    def light_curve(self, object_id: str, ra: float, dec: float) -> LongLightCurve | None:
        self.asked.append((object_id, ra, dec))
        return self.curve


def curve(fluxes: Sequence[float], mjd: Sequence[float] | None = None, fid: int = 1) -> LongLightCurve:
    times = 58_000.0 + np.arange(len(fluxes)) if mjd is None else np.array(mjd)
    return LongLightCurve(times, np.full(len(fluxes), fid), np.array(fluxes, dtype=float))


def test_the_quantile_is_asked_for_in_the_extreme_states_only(tmp_path: Path) -> None:
    provider = Provider(curve([0.1, 0.2, 0.3, 0.4, 0.5]))
    module = module_with(tmp_path, [entry()], provider)
    low = blazar_alert((3, 0.3), (0, 0.3))
    between = blazar_alert((3, 0.7), (0, 0.7))
    high = blazar_alert((3, 3.0), (0, 3.0))
    found = [one["cdf_quantile"] for one in stats([low, between, high, ordinary_alert()], module)]
    assert found == pytest.approx([0.75, -1, 1, -1], rel=1e-6)
    place = tuple(low["candidate"][name] for name in ("ra", "dec"))
    assert provider.asked == [(NAME, *place)] * 2


def test_no_light_curve_no_quantile(tmp_path: Path) -> None:
    low = blazar_alert((3, 0.3), (0, 0.3))
    for long_curve in (None, curve([]), curve([1.0]), curve([1.0, 2.0], [58_000.0, 58_000.0]), curve([np.nan] * 5)):
        (found,) = stats([low], module_with(tmp_path, [entry()], Provider(long_curve)))
        assert found["cdf_quantile"] == -1


def test_the_quantile_counts_time_not_points() -> None:
    medians = np.array([1.0, 2.0])
    # faint for 90 d, bright for 10 d; the order of the points and what came before 2017 do not matter
    long = curve([3.0, 9.0, 1.0, 1.0], [58_090.0, 57_000.0, 58_000.0, 58_100.0])
    assert blazars.flux_quantile(long, medians, 1.0) == pytest.approx(0.9)
    assert blazars.flux_quantile(long, medians, 2.0) == pytest.approx(0.95)
    assert blazars.flux_quantile(long, medians, 5.0) == 1.0
    in_r = LongLightCurve(long.mjd, np.full(4, 2), 2 * long.flux)
    assert blazars.flux_quantile(in_r, medians, 2.0) == pytest.approx(0.95)
    other_band = LongLightCurve(np.append(long.mjd, 58_050.0), np.array([1, 1, 1, 1, 3]), np.append(long.flux, 0.1))
    assert blazars.flux_quantile(other_band, medians, 2.0) == pytest.approx(0.95)


# --- rules of every module


def test_each_alert_on_its_own(decoded: Callable) -> None:
    known = set(blazars.catalogue("").names.to_pylist())
    real = [alert for alert in decoded("ztf_public_20231018_retimed") if alert["objectId"] in known]
    hostile = [alert | {"objectId": NAME} for alert in hostile_light_curves().values()]
    check_module(MODULE, [*real, *hostile])
    for found in stats(hostile):
        assert all(math.isfinite(value) for value in found.values())


def test_a_provider_sees_hostile_light_curves_too(tmp_path: Path) -> None:
    module = module_with(tmp_path, [entry()], Provider(curve([0.1, 0.2, np.inf, 0.4])))
    check_module(module, [alert | {"objectId": NAME} for alert in hostile_light_curves().values()])
