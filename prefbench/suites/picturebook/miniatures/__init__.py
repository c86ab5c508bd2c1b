"""Trainers of the miniatures of real model classes."""
