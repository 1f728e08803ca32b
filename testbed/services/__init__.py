"""The processes of a running testbed."""
