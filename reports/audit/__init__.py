"""Audits: whether what a run folder holds could come from a leak, a copy or a slip, and whether it says how."""
