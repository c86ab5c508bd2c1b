"""Training of `ours`: questions, layers, injection."""
