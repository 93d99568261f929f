"""Connections to venues: kept up, watched, and what they missed asked for again."""
