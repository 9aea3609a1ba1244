"""Trainings that pages start: what can be trained, and the queue that trains it."""
