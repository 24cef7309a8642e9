"""Where the records of a run go: into a run directory that any crash leaves in order.

Every batch of chains writes its records in files of so many generations, and now and then
the chains themselves with the records that fill no file yet.
"""

from collapse_jax.storing.run import Interrupted, OnDisk

__all__ = ["Interrupted", "OnDisk"]
