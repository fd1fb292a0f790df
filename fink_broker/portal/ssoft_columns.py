"""Columns of the tables of solar system objects: one row an object, with the parameters of a model fitted to it.

The flavours are the models: HG (Bowell et al. 1989), HG1G2 (Muinonen et al. 2010), SHG1G2 (Carry et al. 2024), and
SOCCA, which adds the rotation of an ellipsoid.
"""

from __future__ import annotations

from collections.abc import Mapping

#: ZTF's g and r, as the tables number them
BANDS = {1: "g", 2: "r"}

Column = Mapping[str, str]
Columns = dict[str, Column]


def _column(kind: str, meaning: str) -> Column:
    return {"type": kind, "description": meaning}


def _by_band(columns: Mapping[str, tuple[str, str]]) -> Columns:
    """Return columns there is one of for each band, in the band's name."""
    return {
        f"{name}_{number}": _column(kind, f"{meaning}, ZTF {band} band")
        for name, (kind, meaning) in columns.items()
        for number, band in BANDS.items()
    }


def _numbers(columns: Mapping[str, str]) -> Columns:
    return {name: _column("double", meaning) for name, meaning in columns.items()}


COMMON: Columns = {
    "sso_name": _column("str", "official name, or provisional designation"),
    "sso_number": _column("int", "IAU number"),
    "ssnamenr": _column("str", "name or number in the alerts, as the Minor Planet Center gave it"),
    "last_jd": _column("double", "last detection, jd (days, UTC)"),
    **_by_band(
        {
            "H": ("double", "absolute magnitude (mag)"),
            "err_H": ("double", "uncertainty of the absolute magnitude (mag)"),
            "min_phase": ("double", "smallest phase angle observed (deg)"),
            "max_phase": ("double", "largest phase angle observed (deg)"),
            "rms": ("double", "root mean square of the residuals (mag)"),
            "median_error_phot": ("double", "median uncertainty of the measurements (mag)"),
            "n_obs": ("double", "number of observations"),
            "n_days": ("double", "days between the first and the last observation"),
        }
    ),
    **_numbers(
        {
            "min_phase": "smallest phase angle observed (deg)",
            "max_phase": "largest phase angle observed (deg)",
            "chi2red": "reduced chi-square of the fit",
            "rms": "root mean square of the residuals (mag)",
            "median_error_phot": "median uncertainty of the measurements (mag)",
            "mean_astrometry": "mean separation of observations and ephemerides (arcsec)",
            "std_astrometry": "standard deviation of that separation (arcsec)",
            "skew_astrometry": "skewness of that separation",
            "kurt_astrometry": "kurtosis of that separation",
        }
    ),
    "n_obs": _column("int", "number of observations"),
    "n_days": _column("int", "days between the first and the last observation"),
    "fit": _column("int", "0: fitted; 1: bad values; 2: no ephemerides; 3: the fit failed; 4: singular matrix"),
    "status": _column(
        "int",
        "how the least squares ended: -2: failed; -1: improper input; 0: too many steps; 1: by gradient; 2: by cost; "
        "3: by parameters; 4: by cost and parameters",
    ),
    "flag": _column("int", "reserved"),
    "version": _column("str", "version of the table, YYYY.MM"),
}

_PHASE_CURVE = _by_band(
    {
        "G1": ("double", "phase parameter G1"),
        "G2": ("double", "phase parameter G2"),
        "err_G1": ("double", "uncertainty of G1"),
        "err_G2": ("double", "uncertainty of G2"),
    }
)
_SPIN = _numbers(
    {
        "a_b": "ratio of the axes a/b of the ellipsoid, a ≥ b ≥ c",
        "a_c": "ratio of the axes a/c of the ellipsoid, a ≥ b ≥ c",
        "alpha0": "right ascension of the spin axis (deg, equator of J2000)",
        "delta0": "declination of the spin axis (deg, equator of J2000)",
        "alpha0_alt": "right ascension of the opposite axis (deg)",
        "delta0_alt": "declination of the opposite axis (deg)",
        "obliquity": "obliquity of the spin axis (deg)",
        "err_alpha0": "uncertainty of alpha0 (deg)",
        "err_delta0": "uncertainty of delta0 (deg)",
        "max_cos_lambda": "largest |cosine| of the aspect angle",
        "mean_cos_lambda": "mean |cosine| of the aspect angle",
        "min_cos_lambda": "smallest |cosine| of the aspect angle",
    }
)

OF_FLAVOR: Mapping[str, Columns] = {
    "SOCCA": {
        **_PHASE_CURVE,
        **_SPIN,
        **_numbers(
            {
                "phi0": "rotation phase at the time of reference (rad)",
                "err_phi0": "uncertainty of phi0 (rad)",
                "err_a_b": "uncertainty of a_b",
                "err_a_c": "uncertainty of a_c",
                "period": "sidereal period (hours), from 2024.10 on",
                "err_period": "uncertainty of the period (hours), from 2024.10 on",
                "period_chi2red": "reduced chi-square of the period, from 2024.10 on",
            }
        ),
    },
    "SHG1G2": {**_PHASE_CURVE, **_SPIN, **_numbers({"R": "oblateness", "err_R": "uncertainty of R"})},
    "HG1G2": _PHASE_CURVE,
    "HG": _by_band({"G": ("double", "phase parameter G"), "err_G": ("double", "uncertainty of G")}),
}


def columns_of(flavor: str) -> Columns:
    """Return the columns of a table, sorted: type and description by name."""
    return dict(sorted({**COMMON, **OF_FLAVOR[flavor]}.items()))
