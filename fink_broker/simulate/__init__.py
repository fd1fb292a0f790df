"""The simulator: alerts from files, or from a synthetic sky, sent to Kafka as a survey would.

=================================== =========================================================================
module                              subject
=================================== =========================================================================
``replay``                          one run: what is sent, where to, and the summary
``sources``                         where alerts come from; ``containers``: Avro, tar, gzip; ``rows``: Parquet
``repeat``                          the same alerts again, with fresh identifiers on later nights
``pacing``                          when the next alert is due
``producer``, ``topics``            Kafka: sending, and topics made in time
``progress``                        the bar, or lines for a log
``sky``                             the synthetic sky
=================================== =========================================================================
"""

from fink_broker.simulate.replay import run

__all__ = ["run"]
