"""What is learned about a hall before it is used: the background dictionary."""
