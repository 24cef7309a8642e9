"""Helpers that know nothing of chains: checks, memory, progress, linear algebra."""
