"""The science portal: pages over the REST API, which is all they know of the archive."""
