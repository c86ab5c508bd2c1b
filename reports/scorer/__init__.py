"""A scorer's card with its measured figures."""
