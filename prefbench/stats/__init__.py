"""Statistics over users: intervals, tests, effect sizes, power."""
