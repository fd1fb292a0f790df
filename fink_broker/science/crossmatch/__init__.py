"""What is known at the position of an alert: catalogues on disk, and services."""
