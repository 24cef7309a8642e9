"""The selections: which rows of the newest model are trained on."""

from collapse_jax.core.selection import Accept
from collapse_jax.policies.selections.best_of import BestOf
from collapse_jax.policies.selections.edit import Edit
from collapse_jax.policies.selections.top import Top

__all__ = ["Accept", "BestOf", "Edit", "Top"]
