"""Small helpers that know nothing of chains: checks of arguments, memory, progress, linear algebra."""
