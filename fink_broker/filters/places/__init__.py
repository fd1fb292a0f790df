"""Places on the sky as users give them: lists of positions, coverage maps, probability maps."""
