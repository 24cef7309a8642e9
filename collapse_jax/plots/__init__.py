"""Figures: pure functions of records."""
