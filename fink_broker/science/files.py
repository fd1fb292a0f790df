"""Models and catalogues that ship with the package fink-science: found without importing it, checked by digest.

The package is used as data: none of its code runs, and a file that is not the one these numbers were verified with is
refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from fink_broker.errors import DataError

PACKAGE = "fink_science"
VERSION = "7.4.0"

#: Folder of the SuperNNova networks below the data folder.
SNN = "models/snn_models/"
#: Folder of the anomaly forests.
ANOMALY = "models/anomaly_detection/"

#: sha256 of each file used, as shipped with fink-science 7.4.0.
DIGESTS = {
    "catalogs/gcvs.parquet": "d7ac03d87495261e34c40934cf688c8bcea2d1a2ab9fa497ef0bfb78829a551f",
    "catalogs/vsx.parquet": "5a6db01e7bc2bbadcb82f6c692c2350fdab1b6f3ce4039385efdc98857711b6c",
    "catalogs/3hsp.csv": "e6557f9df75843521c8dc8cab6041446632028a0b68806900a79d98cbe855141",
    "catalogs/table-4LAC-DR3-h.fits": "01ea965408db20baa007894b5710466d66bca6fbc794653710d6840d16381306",
    "catalogs/table-4LAC-DR3-l.fits": "0ba0a50d21f51ceef3adede9d43ab4f7a074aa3d34c5e7e656af1e1ea6931286",
    "catalogs/mangrove_filtered.parquet": "e673dcbfa6ac38a468333094fa36409265c7758502773714eda50c3cc392ae51",
    "catalogs/tns_raw.parquet": "efbc220c7243ee9bfe7eb73714318e2fbe6ceeb6ba60db55c32aadee8f0cf200",
    "catalogs/CTAO_blazars_ztf_dr22.parquet": "569b046530efaa548db8403279712481d1424b1fe23eb0f97469df20a6ef6155",
    "models/default-model_sigmoid.obj": "a3aa6d8c6259db80f2036108aa80e6f99026adee2bc9843618776e9ed89e9074",
    "models/rf.sav": "657ad087566ff391aa5bf91f43e060632a6069d5f0902a8238a6dc6e61d6a8c7",
    "models/kn_diff_pc_sets.pkl": "18e957fc0e3b3e40fa4451718ba9b0811d1991246cce22df4caffe4d8e65b21e",
    "models/mixed_pcs.csv": "2c0444bf77fe327e97a0c3cc0bad06e87b0f74e7396eba613ef4dc38795eda91",
    ANOMALY + "anomaly_detection_forest_AAD.zip": "d85ebeaeb1722bcbd8e38aab17d2abc83d4b1b7e5182fbaedc9c992ae1208525",
    ANOMALY
    + "anomaly_detection_forest_AAD_anais.zip": "9ab279dcff6a020d06a7fb2534da609e11e632b171aad8bb2cf1002d00c51073",
    ANOMALY
    + "anomaly_detection_forest_AAD_beta.zip": "4caca7f8e46f07bf22f89199a0106142f3a283441871bb583e623b88e79eea50",
    ANOMALY
    + "anomaly_detection_forest_AAD_emille.zip": "e0bdbfc429db14f94533b247440bf7cbf7002d2a4042deccfaa5426e5b127dc8",
    ANOMALY
    + "anomaly_detection_forest_AAD_julien.zip": "7d1c7951d45c9e7f2b83cc969e7bdd7f817bad2ecd30d6631037680c2e9952c8",
    ANOMALY
    + "anomaly_detection_forest_AAD_maria.zip": "d7bc761abeea290f5a40ec0ca1a600c0ea5a4da6686b9fbcbf445b050a2e3d04",
    ANOMALY + "g_means.csv": "5a305a7fdda280947cd0db62c2c47d89a4e85b4e72ca2c79b514e23461dc9456",
    ANOMALY + "r_means.csv": "3e6e681e28df4087873b312146c6af2f051d8ffb1119db618cde940acbcebb62",
    SNN + "snn_snia_vs_nonia/model.pt": "28daec3d6e9abb825857e625eceef09e1fa20c1767fa1e6aea29b4595f96913b",
    SNN + "snn_snia_vs_nonia/data_norm.json": "4a27700a985c6ff63f0916931bb9036003ce29a0259d96e947f49d20c0b933f7",
    SNN + "snn_sn_vs_all/model.pt": "809d28fa1a0a9267ffe5352bfb944fcbb08223687989a45e3b91067786578daf",
    SNN + "snn_sn_vs_all/data_norm.json": "e8b0d88d810af23df75525c69abbba29e9684d09bff6aedc0d8e13290bfa57cf",
}


@lru_cache(maxsize=1)
def data_folder() -> Path:
    """Return the folder of data inside the installed package.

    Raises
    ------
    DataError
        If the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "The models and catalogues of fink-science are not installed.",
            f"Install them with: pip install --no-deps fink-science=={VERSION}.",
        )
    return Path(found.submodule_search_locations[0]) / "data"


def checked_file(name: str) -> Path:
    """Return the path of a shipped file after checking its content.

    Parameters
    ----------
    name : str
        Path below the package's ``data`` folder; a key of `DIGESTS`.

    Raises
    ------
    DataError
        If the file is missing or its content is not the pinned one.
    """
    path = data_folder() / name
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.", _REINSTALL) from error
    if digest != DIGESTS[name]:
        raise DataError(f"The file {path} is not the one of fink-science {VERSION}.", _REINSTALL)
    return path


def digests_of(*names: str) -> tuple[str, ...]:
    """Return the pinned sha256 of shipped files (keys of `DIGESTS`)."""
    return tuple(DIGESTS[name] for name in names)


_REINSTALL = f"Install it again: pip install --force-reinstall --no-deps fink-science=={VERSION}."
