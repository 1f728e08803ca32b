"""Runs: localize, calibrate, study."""
