"""Write HTML pages about one run, and about a reproduction of many."""

from collapse_jax.report.reproduction import Study, write_reproduction
from collapse_jax.report.run import write_report

__all__ = ["Study", "write_report", "write_reproduction"]
