"""The rules of SkyPortal's REST calls, as the client contract states them (section 5)."""
