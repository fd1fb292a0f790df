"""The data transfer page: what is selected, how much it is, who sends it, how far it is."""
