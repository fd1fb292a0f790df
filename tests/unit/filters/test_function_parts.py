"""What functions of topics are made of: latitudes, galaxies, lines, light curves, catalogues of a package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from fink_broker.errors import DataError
from fink_broker.filters.measures import package_data
from fink_broker.filters.measures.latitudes import ecliptic_latitude, galactic_latitude
from fink_broker.filters.measures.lines import fit_lines
from fink_broker.filters.measures.nearby_galaxies import nearby_galaxies
from fink_broker.filters.ztf import magnetic_cvs


def test_latitudes_are_those_of_astropy() -> None:
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 20000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20000)))
    ra[:2], dec[:2] = 0.0, (90.0, -90.0)
    sky = SkyCoord(ra * u.deg, dec * u.deg)
    assert np.abs(galactic_latitude(ra, dec) - sky.galactic.b.deg).max() < 1e-9
    beta = sky.transform_to("geocentricmeanecliptic").lat.deg
    assert np.abs(ecliptic_latitude(ra, dec) - beta)[np.abs(beta) > 5].max() < 0.1 / 3600
    assert np.isnan(galactic_latitude(np.array([np.nan, np.inf]), np.zeros(2))).all()


def test_galaxies_are_those_of_an_exhaustive_search() -> None:
    galaxies, rng = nearby_galaxies(), np.random.default_rng(4)
    # beside galaxies, near and far, at distances about the limit
    chosen = np.concatenate([np.arange(0, 1400, 70), rng.integers(1400, len(galaxies._ra), 40)])
    limit = np.minimum(galaxies._radius[chosen] * rng.uniform(0.9, 1.1, len(chosen)), 7300.0)
    angle = rng.uniform(0, 360, len(chosen)) * u.deg
    start = SkyCoord(galaxies._ra[chosen] * u.deg, galaxies._dec[chosen] * u.deg)
    sky = start.directional_offset_by(angle, limit * u.arcsec)
    magnitude = galaxies._modulus[chosen] - rng.uniform(14.5, 17.5, len(chosen))
    every = SkyCoord(galaxies._ra * u.deg, galaxies._dec * u.deg)
    wanted = []
    for place, bright in zip(sky, magnitude, strict=True):
        right = np.flatnonzero(np.abs(bright - galaxies._modulus + 16.0) < 1.0)
        wanted.append(bool((place.separation(every[right]).arcsec < galaxies._radius[right]).any()))
    found = galaxies.may_host(sky.ra.deg, sky.dec.deg, magnitude)
    assert 10 < sum(wanted) < 50
    assert found.tolist() == wanted


def test_lines_are_those_of_polyfit() -> None:
    rng = np.random.default_rng(5)
    groups = [(rng.uniform(0, 9, n) + 2460000, rng.normal(19, 1, n), rng.uniform(0.05, 0.3, n)) for n in (2, 3, 12, 80)]
    owner = np.repeat(np.arange(len(groups)), [len(x) for x, _, _ in groups])
    x, y, error = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    slope, _ = fit_lines(owner, len(groups), x, y, 1 / error**2)
    _, r_squared = fit_lines(owner, len(groups), x, y, np.ones(len(x)))
    for number, (some_x, some_y, some_error) in enumerate(groups):
        centred = some_x - some_x.mean()
        assert slope[number] == pytest.approx(np.polyfit(centred, some_y, 1, w=1 / some_error)[0], rel=1e-9)
        assert r_squared[number] == pytest.approx(np.corrcoef(centred, some_y)[0, 1] ** 2, rel=1e-9)
    nothing = fit_lines(np.zeros(1, dtype=int), 3, np.ones(1), np.ones(1), np.ones(1))
    assert np.isnan(nothing).all()


def test_every_magnetic_star_is_its_own_neighbour() -> None:
    ((radius, index),) = magnetic_cvs.catalogue()
    assert radius == 0.5
    assert len(index._ra) == 245
    assert magnetic_cvs.is_magnetic_cv(index._ra, index._dec).all()
    # V1309 Ori is at 05 15 41.4 +01 04 40; just below the equator the sign stands before a zero
    assert magnetic_cvs._sexagesimal("05 15 41.4") * 15 == pytest.approx(78.9225)
    assert magnetic_cvs._sexagesimal("-00 30 36") == -0.51


def test_a_catalogue_that_is_gone_or_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(package_data.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DataError, match="not installed") as caught:
        package_data.checked_file(package_data.GALAXIES)
    assert "fink-filters==7.45" in caught.value.hint
    monkeypatch.setattr(package_data.importlib.util, "find_spec", lambda _name: Spec)
    with pytest.raises(DataError, match="cannot be read"):
        package_data.checked_file(package_data.GALAXIES)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / package_data.GALAXIES).write_text("ra,dec\n")
    with pytest.raises(DataError, match=r"not the one of fink-filters 7\.45"):
        package_data.checked_file(package_data.GALAXIES)
