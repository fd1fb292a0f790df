"""The job that Livy runs: `fink transfer` with what the portal selected. It is uploaded as it is.

The cluster's Python needs the package ``fink_broker``. Who we are at Kafka it takes from the environment of the job
(FINK_DISTRIBUTION_USERNAME, FINK_DISTRIBUTION_PASSWORD).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys


def command(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command of a job's arguments, and what its environment has beside ours."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("startDate", "stopDate", "content", "topic_name", "basePath", "kafka_bootstrap_servers", "maxAlerts"):
        parser.add_argument(f"-{name}", default="")
    parser.add_argument("-fclass", action="append", default=[])
    parser.add_argument("-extraCond", action="append", default=[])
    job = parser.parse_args(words)
    where = " AND ".join(f"({condition})" for condition in job.extraCond)
    given = [f"--start={job.startDate}", f"--stop={job.stopDate}", f"--topic={job.topic_name}"]
    given += [f"--class={name}" for name in job.fclass]
    given += [f"--where={where}"] if where else []
    given += [f"--max-alerts={job.maxAlerts}"] if job.maxAlerts else []
    kind = "columns" if "," in job.content else "output"
    given += [f"--{kind}={job.content}"] if job.content else []
    places = {"FINK__STORAGE__ONLINE": job.basePath, "FINK__DISTRIBUTION__SERVERS": job.kafka_bootstrap_servers}
    return [sys.executable, "-m", "fink_broker", "transfer", *given], {key: at for key, at in places.items() if at}


def main() -> int:
    """Run the transfer; return its exit code."""
    words, places = command(sys.argv[1:])
    return subprocess.run(words, env=os.environ | places, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
