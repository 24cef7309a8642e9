"""Check the library against exact laws, with known error rates, for `collapse verify`."""
