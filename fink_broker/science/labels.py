"""What modules ask of the label ``cdsxmatch``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.alert.lightcurve import Mask


def is_extragalactic(label: pa.Array) -> Mask:
    """Tell where a label allows an extragalactic object; a missing one does not."""
    return pc.is_in(label, value_set=pa.array(EXTRAGALACTIC)).fill_null(False).to_numpy(zero_copy_only=False)
