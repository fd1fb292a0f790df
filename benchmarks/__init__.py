"""What speed is claimed, each reproducible with one command."""
