"""A one-page report of a run."""

from collapse_jax.report.html import write_report

__all__ = ["write_report"]
