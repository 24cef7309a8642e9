"""Hold the records of a run: reduce them, write them, and compare them with theory."""
