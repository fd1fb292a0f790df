"""The topics of ZTF: one small module each."""

from fink_broker.config import Config
from fink_broker.filters.filter import Filter
from fink_broker.filters.ztf import (
    blazar,
    early_kn_candidates,
    early_sn_candidates,
    fast_riser_candidates,
    first_pass_candidates,
    inter_night_hostless,
    intra_night_hostless,
    kn_candidates,
    magnetic_cvs,
    microlensing_candidates,
    new_hostless,
    rate_based_kn_candidates,
    simbad_grav_candidates,
    sn_candidates,
    sso_fink_candidates,
    sso_ztf_candidates,
    tns_match,
    unknowns,
    vra,
    yso_candidates,
    yso_spicy_candidates,
)


def ztf_filters(config: Config) -> tuple[Filter, ...]:
    """Return all of them, in the order in which they are listed; two of them ask a service that is configured."""
    return (
        sn_candidates.FILTER,
        early_sn_candidates.FILTER,
        kn_candidates.FILTER,
        early_kn_candidates.build(config),
        rate_based_kn_candidates.build(config),
        microlensing_candidates.FILTER,
        sso_ztf_candidates.FILTER,
        sso_fink_candidates.FILTER,
        first_pass_candidates.FILTER,
        simbad_grav_candidates.FILTER,
        tns_match.FILTER,
        unknowns.FILTER,
        yso_candidates.FILTER,
        yso_spicy_candidates.FILTER,
        magnetic_cvs.FILTER,
        blazar.FILTER,
        vra.FILTER,
        new_hostless.FILTER,
        intra_night_hostless.FILTER,
        inter_night_hostless.FILTER,
        fast_riser_candidates.FILTER,
    )
