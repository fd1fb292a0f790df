"""The search for counterparts of gravitational waves."""
