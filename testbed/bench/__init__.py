"""The benchmark suite: how long the work of a sensing takes, and its literal evaluation."""
