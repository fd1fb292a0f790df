"""What a demo replays, and to which topic."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from rich.console import Console

from fink_broker.alert.survey import JD_UNIX_EPOCH, SURVEYS
from fink_broker.config.model import Config
from fink_broker.errors import ConfigError

ALERT_FILES = ("*.avro", "*.avro.gz", "*.tar.gz", "*.parquet")
FETCH_SECONDS = 40.0
SYNTHETIC = "synthetic"


def find_source(datasim: Path, console: Console) -> str:
    """Return the folder of real alerts, fetching some if there are none; else the synthetic sky."""
    if _has_alerts(datasim):
        return str(datasim)
    script = datasim / "download_ztf_alert_data.sh"
    if script.is_file():
        console.print("Fetching real alerts ...", highlight=False)
        try:
            subprocess.run(
                ["bash", str(script)],
                timeout=FETCH_SECONDS,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            console.print("None could be fetched: the synthetic sky stands in for them.", highlight=False)
        if _has_alerts(datasim):
            return str(datasim)
    return SYNTHETIC


def _has_alerts(folder: Path) -> bool:
    return any(path for pattern in ALERT_FILES for path in folder.rglob(pattern))


def choose_topic(config: Config) -> str:
    """Return the topic the demo replays to: tonight's, for all alerts.

    Stored alerts may come from many nights, and a topic for each would only be slow.

    Raises
    ------
    ConfigError
        If the job would not read it.
    """
    if config.simulator.topic:
        return config.simulator.topic
    tonight = SURVEYS[config.survey].input_topic(time.time() / 86_400 + JD_UNIX_EPOCH)
    # a plain name matches itself
    for topic in (tonight, config.kafka.topic):
        if re.fullmatch(config.kafka.topic, topic):
            return topic
    raise ConfigError(
        f"The demo cannot tell a topic that stream2raw reads: kafka.topic is {config.kafka.topic!r}.",
        "Name one in simulator.topic.",
    )
