"""A synthetic sky: nights of ZTF alerts drawn from named physical and empirical models, with the truth kept aside.

=============================== ======================================================================
module                          subject
=============================== ======================================================================
``generate``                    a night of alerts, in order of time
``fields``, ``exposures``       where and when the survey looks, tonight and in the nights before
``models``                      light curves by class, one file each; what they hand over: ``source``
``field_sky``, ``observing``    which sources are detected, with what noise
``measurements``, ``neighbours`` shapes and scores, catalogue sources nearby
``packets``, ``cutouts``        the alert record and its three images; ``names``: its fields
``truth``                       the true class, to Parquet
=============================== ======================================================================
"""

from fink_broker.simulate.sky.generate import DEFAULT_NIGHT, synthetic_alerts, synthetic_packets
from fink_broker.simulate.sky.models import DEFAULT_WEIGHTS
from fink_broker.simulate.sky.truth import Truth, write_truth

__all__ = ["DEFAULT_NIGHT", "DEFAULT_WEIGHTS", "Truth", "synthetic_alerts", "synthetic_packets", "write_truth"]
