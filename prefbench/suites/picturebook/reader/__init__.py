"""A network that reads the attributes of a picture."""
