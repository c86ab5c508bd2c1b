"""Methods, one file each; found through the registry, never imported by the core."""
