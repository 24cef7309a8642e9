"""What a run measured, and how it is reduced and kept."""
