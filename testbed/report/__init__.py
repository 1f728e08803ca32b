"""The report of a background dictionary: facts, what is suspicious about them, and the page."""
