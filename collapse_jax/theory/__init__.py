"""Closed forms that simulations are checked against, each with its source."""
