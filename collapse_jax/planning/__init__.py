"""How much original data must be kept: the smallest value of a setting that meets a demand."""
