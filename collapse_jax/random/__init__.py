"""Draw random numbers: the generator, `Keys`, and exact samplers, one law per file."""
