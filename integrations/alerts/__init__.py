"""Alerts as they come from the broker's topics: read, decoded, and made a light curve and a class."""
