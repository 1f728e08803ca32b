"""The composition root: site files, runs, figures and the command line."""
