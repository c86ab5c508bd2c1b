"""Paired contrasts between runs, ranks and strengths."""
