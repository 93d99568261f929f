"""Sinks: the events of one topic to the rows of one table."""
