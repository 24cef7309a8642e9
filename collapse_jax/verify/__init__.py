"""Whether the library is right: checks with known error rates, for `collapse verify`."""
