"""What a search found: as cards, as a table, on the sky."""
