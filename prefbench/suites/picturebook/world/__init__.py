"""What can be drawn: axes, words, shapes and the renderer."""
