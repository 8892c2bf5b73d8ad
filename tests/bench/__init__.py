"""Comparisons with peers: each runs both sides in turn and writes one JSON."""
