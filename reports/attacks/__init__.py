"""Attacks compared with honest methods, metric by metric."""
