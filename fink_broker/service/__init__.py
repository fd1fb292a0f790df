"""Start, stop and show services: processes, logs, state, Java parts, the embedded Kafka."""
