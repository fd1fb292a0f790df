"""Topics: which alerts go where, by the broker's own rules and those of users, judged together in one pass."""
