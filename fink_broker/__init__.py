"""Fink: an astronomical alert broker, from the telescope's Kafka stream to filtered topics."""

__version__ = "0.1.0"
