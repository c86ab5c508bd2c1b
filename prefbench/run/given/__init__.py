"""Finished images as a run: tables and folders of pictures that something else drew for a suite's cases."""
