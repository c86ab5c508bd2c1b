"""Auxiliary training for a model that starts from random weights; pretrained models do without it."""
