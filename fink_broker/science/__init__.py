"""What the broker finds out about an alert: one module a file, a registry, and the pipeline that runs them."""
