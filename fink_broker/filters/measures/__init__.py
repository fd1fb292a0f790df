"""What the topics that are functions measure on alerts, and whom they ask."""
