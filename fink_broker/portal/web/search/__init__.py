"""What is typed into the search box: its grammar, suggestions, and what it asks of the API."""
