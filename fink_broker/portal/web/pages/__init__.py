"""The pages of the portal, one module each."""
