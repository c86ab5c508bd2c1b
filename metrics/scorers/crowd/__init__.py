"""Published scorers of the crowd; they know no user."""
