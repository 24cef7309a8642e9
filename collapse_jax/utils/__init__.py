"""Provide helpers that need no chain: checks, memory, progress, linear algebra."""
