"""Alerts of the broker into SkyPortal: candidates, photometry, annotations, classes and cutouts over its REST API."""
