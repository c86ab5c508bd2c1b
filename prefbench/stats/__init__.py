"""Statistics over users: intervals, tests, effect sizes, power."""

LEVEL = 0.95
"""The level of an interval unless another one is asked for."""
