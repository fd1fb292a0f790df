"""The topics of ZTF: one small module each."""

from fink_broker.filters.ztf import (
    blazar,
    simbad_grav_candidates,
    sn_candidates,
    sso_fink_candidates,
    sso_ztf_candidates,
    unknowns,
    vra,
    yso_candidates,
)

ZTF_FILTERS = (
    sn_candidates.FILTER,
    sso_ztf_candidates.FILTER,
    sso_fink_candidates.FILTER,
    yso_candidates.FILTER,
    blazar.FILTER,
    simbad_grav_candidates.FILTER,
    unknowns.FILTER,
    vra.FILTER,
)
