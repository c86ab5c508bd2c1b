"""Published scorers of the average person's preference; they read no history."""
