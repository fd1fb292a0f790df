"""Fits that visitors ask for: what is fitted, and the processes in which it is."""
