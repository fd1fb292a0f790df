"""What the broker counted each night: reading it, plots, and the panels of the page."""
