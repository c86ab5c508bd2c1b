"""The metrics measured against a known truth: on systems that personalise exactly so much, and on real runs.

`prefbench.reports.validation.study.validate` is the whole; a module a question beside it.
"""
