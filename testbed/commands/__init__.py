"""The subcommands of `testbed`, one module each, imported when called."""
