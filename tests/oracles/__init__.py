"""Literal evaluations of the paper's equations, slow and plain, to hold the fast ones to.

Written from `paper.md` (Nozari et al.) with loops and `math`/`cmath`, sharing no code with the
packages they judge.
"""
