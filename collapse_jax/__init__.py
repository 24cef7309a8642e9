"""Monte Carlo studies of model collapse: thousands of generation chains in parallel."""
