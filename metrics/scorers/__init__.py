"""Learned models of preference behind one contract, one file each; found through the registry."""
