"""Recordings of live venues, as somebody watches them."""
