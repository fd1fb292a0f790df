"""The streaming jobs: each a pure function on DataFrames, given a source, a sink and a checkpoint."""
