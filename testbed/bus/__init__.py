"""What the processes of a testbed say to each other, and how it travels."""
