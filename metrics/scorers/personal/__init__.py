"""Published personal scorers on language models."""
