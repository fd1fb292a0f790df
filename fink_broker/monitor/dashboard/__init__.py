"""The operations dashboard: pages, events, CSV files, health, Prometheus metrics; it reads, and changes nothing."""

from fink_broker.monitor.dashboard.app import create_app

__all__ = ["create_app"]
