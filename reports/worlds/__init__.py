"""Rankings of the same methods compared between worlds: suites of other parameters, and other splits."""
