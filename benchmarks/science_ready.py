"""A process that gets ready for science, runs one batch, and tells what that took; started by the benchmark.

Reads the configuration from its standard input and writes one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import pyarrow as pa

from benchmarks.measure import memory_of
from fink_broker.config import Config
from fink_broker.science.registry import build_pipeline


def main() -> None:
    pipeline = build_pipeline(Config.model_validate_json(sys.stdin.read()))
    began = time.perf_counter()
    pipeline.prepare()
    told = {"prepare": time.perf_counter() - began, "ready": time.time(), "pss_ready": memory_of(os.getpid())}
    with pa.memory_map(sys.argv[1]) as file:
        batch = pa.ipc.open_file(file).read_all().combine_chunks().to_struct_array()
        pipeline.run(batch.chunk(0) if isinstance(batch, pa.ChunkedArray) else batch)
        told["pss_end"] = memory_of(os.getpid())
    told["peak_rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
