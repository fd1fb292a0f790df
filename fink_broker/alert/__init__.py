"""What an alert is: surveys, packet schemas, light curves, and alerts in batches."""
