"""Feature extractors: pictures and texts to vectors."""
