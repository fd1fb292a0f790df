"""The REST API, and the web portal on top of it."""
