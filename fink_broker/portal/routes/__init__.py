"""The routes of the API, one subject a file; each file gives ``ROUTES``."""
