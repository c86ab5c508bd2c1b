"""The comparison table of runs with its figures and galleries."""
