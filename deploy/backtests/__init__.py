"""Strategies run on what is stored, and what came of it."""
