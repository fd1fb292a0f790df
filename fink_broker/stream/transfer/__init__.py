"""Data transfer: a past selection of alerts, sent to a Kafka topic from which clients download it."""
