"""What each component of a method is worth."""
