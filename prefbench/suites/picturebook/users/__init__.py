"""Simulated users: tastes, choices, and exact inference of a taste."""
