"""The page that people look at: its front end lies in `assets`."""
