"""Attacks: methods that try to win a metric without doing what is asked."""
