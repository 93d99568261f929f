"""Measure the stages against what their libraries can do alone. ``python -m deploy.bench``."""
