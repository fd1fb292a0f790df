"""The tabs of the object page, one module each."""
