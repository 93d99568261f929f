"""Recordings told again: runs, their control, and the proof that they equal live."""
