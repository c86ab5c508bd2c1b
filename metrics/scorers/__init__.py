"""Published scorers of preference, one file each, looked up by name in the registry. None of them ships its weights."""
