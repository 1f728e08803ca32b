"""What a radio node is and how it is driven: the words every other package shares."""
