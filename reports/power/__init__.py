"""How many users a study needs, from a pilot."""
