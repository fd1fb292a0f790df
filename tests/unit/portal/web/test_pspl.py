"""Microlensing fits: events whose parameters are known, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from science_rows import words_of

from fink_broker.portal.web.fits import pspl
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.pspl import fit_pspl
from fink_broker.portal.web.object_tabs.microlensing import is_weak, lens_plot, parameter_rows, show_lens

T0, TE, U0 = 2460100.3, 22.0, 0.25


def silent(words: str, share: float) -> None:
    assert 0 <= share <= 1
    assert words


def event(seed: int = 3, noise: float = 0.02, bands: tuple[int, ...] = (1, 2), points: int = 60) -> dict[str, Any]:
    """Return a Paczyński curve of sources of flux 1 and 2, blended with 0.3 and 0.1."""
    random = np.random.default_rng(seed)
    columns: dict[str, list[float]] = {"jd": [], "fid": [], "mag": [], "error": []}
    for band in bands:
        jd = np.sort(random.uniform(T0 - 90, T0 + 90, points))
        u = np.hypot(U0, (jd - T0) / TE)
        flux = (1.0, 2.0)[band - 1] * (u**2 + 2) / (u * np.sqrt(u**2 + 4)) + (0.3, 0.1)[band - 1]
        mag = 18 - 2.5 * np.log10(flux) + random.normal(0, noise, points)
        for name, values in (("jd", jd), ("fid", [band] * points), ("mag", mag), ("error", [noise] * points)):
            columns[name] += list(values)
    return {**columns, "ra": 270.0, "dec": -28.0}


@pytest.mark.parametrize("seed", [3, 4])
def test_known_lens_is_found_within_its_errors(seed: int) -> None:
    found = fit_pspl(event(seed), silent)
    for name, truth in (("t0", T0), ("tE", TE), ("u0", U0)):
        assert abs(found[name] - truth) < 3.5 * found[f"{name}_error"], name
        assert 0 < found[f"{name}_error"] < 0.2 * TE
    assert found["freedom"] == 2 * 60 - 7
    assert found["chi2"] / found["freedom"] == pytest.approx(1, abs=0.35)


def test_bands_are_aligned_to_one_model() -> None:
    found = fit_pspl(event(noise=0.01), silent)
    points = {name: np.asarray(each) for name, each in found["points"].items()}
    model = np.interp(points["jd"], found["model"]["jd"], found["model"]["mag"])
    np.testing.assert_allclose(points["mag"] - points["residual"], model, atol=0.02)
    for band in (1, 2):
        assert np.std(points["residual"][points["fid"] == band]) < 0.015
    assert found["blend"]["1"] == pytest.approx(0.3 / 1.3, abs=0.15)
    assert len(lens_plot(found).data) == 5
    assert not is_weak(found)
    assert is_weak(found | {"u0": 1.0})
    assert not is_weak(found | {"blend": {"1": -0.15, "2": 0.9}})
    for blend in (-8.24, -0.3, 1.2):
        unphysical = found | {"blend": {"1": blend, "2": 0.1}}
        assert is_weak(unphysical)
        assert [row[1] for row in parameter_rows(unphysical)[3:]] == ["not determined", "10 %"]
    assert is_weak(found | {"tE_error": 2 * found["tE"]})
    assert not is_weak(found | {"blend": {"1": 0.3, "2": None}})
    assert is_weak(found | {"blend": {"1": 0.99, "2": 0.1}})


@pytest.mark.parametrize(("name", "value", "row"), [("tE", 500.0, 1), ("tE", 0.1, 1), ("u0", 1.0, 2)])
def test_value_at_its_bound_is_no_measurement(name: str, value: float, row: int) -> None:
    found = fit_pspl(event(noise=0.01), silent) | {name: value, f"{name}_error": 0.01 * value}
    assert is_weak(found)
    assert parameter_rows(found)[row][2] == "at its bound"
    words = words_of(show_lens(found, "0" * 32))
    assert "Weakly constrained" in words
    assert f"± {0.01 * value:.2f} d" not in words
    assert "(bound)" in words


def test_blend_of_a_band_with_too_few_points_is_not_determined() -> None:
    given = event(noise=0.01)
    for name, value in (("jd", T0 - 40), ("fid", 3), ("mag", 17.6), ("error", 0.01)):
        given[name] = [*given[name], value]
    found = fit_pspl(given, silent)
    assert found["blend"]["3"] is None
    assert parameter_rows(found)[-1][:2] == ("blend, i", "not determined")
    assert not is_weak(found)


def test_u0_has_no_side(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = pspl.PSPLmodel.compute_pyLIMA_parameters

    def other_side(self: pspl.PSPLmodel, values: Any) -> Any:
        return {**fitted(self, values), "u0": -U0}

    monkeypatch.setattr(pspl.PSPLmodel, "compute_pyLIMA_parameters", other_side)
    magnitudes = pspl.Magnitudes.of(event())
    model = pspl.PSPLmodel(pspl._event(magnitudes, 270.0, -28.0), blend_flux_parameter="fblend")
    best = pspl._fitted(model, [T0, U0, TE])
    assert best is not None
    assert pspl._answer(magnitudes, model, *best)["u0"] == U0


def test_one_band_is_enough() -> None:
    found = fit_pspl(event(bands=(2,), points=80), silent)
    assert found["tE"] == pytest.approx(TE, rel=0.4)
    assert (found["reference"], list(found["blend"])) == (2, ["2"])
    rows = parameter_rows(found)
    assert [row[0] for row in rows] == ["t₀", "t_E", "u₀", "blend, r"]
    assert rows[0][1].startswith("60099.") or rows[0][1].startswith("60100.")


def test_light_curve_without_an_event_ends_in_a_result_or_in_words() -> None:
    given = event(noise=0.05)
    given["mag"] = np.random.default_rng(1).normal(18, 0.05, len(given["jd"])).tolist()
    try:
        found = fit_pspl(given, silent)
    except FitError as error:
        assert str(error) == "The fitting procedure could not converge."
    else:
        assert np.isfinite([found["t0"], found["tE"], found["u0"], found["chi2"]]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mag": [18.0] * 3}, "not equally many"),
        ({"error": [0.0] * 120}, "0 usable"),
        ({"jd": ["x"] * 120}, "not all numbers"),
    ],
)
def test_what_is_of_no_use_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    with pytest.raises(FitError, match=words):
        fit_pspl(event() | change, silent)
