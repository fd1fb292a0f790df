"""Alerts in HBase: one packed cell an alert, keys that find it again."""
