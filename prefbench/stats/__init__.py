"""Statistics over users: intervals, tests, effect sizes, power."""

LEVEL = 0.95
"""The level of an interval unless another one is asked for."""
VERSION = "2"
"""The version of the rules for intervals: summaries that were stored by another one are made again."""
