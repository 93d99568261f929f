"""Frames as received: stored, marked, and read back."""
