"""Sweeps: any parameter of a site against any other, from a file."""
