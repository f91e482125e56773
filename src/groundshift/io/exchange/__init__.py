"""Stacks and histories in the formats of other programs.

Each file here knows one format. Facts about it are from its documentation and its files; where a
file does not say what its numbers mean, it is refused and not guessed at.
"""
