"""What continues a run: the chains as they were after its last generation."""

import dataclasses
import json
from pathlib import Path
from typing import Self

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class RunState:
    """Chains between two generations; made by `simulate`, taken by ``simulate(state=...)``.

    Attributes:
      generation: the last generation made.
      first_chain: id of the first chain.
      key: the two 32-bit words of the run's key.
      leaves: arrays with the chain as first axis.
    """

    generation: int
    first_chain: int
    key: tuple[int, int]
    leaves: tuple[np.ndarray, ...]

    def save(self, directory: Path) -> None:
        """Write state.json and leaves.npz."""
        directory.mkdir(parents=True)
        numbers = {
            "generation": self.generation,
            "first_chain": self.first_chain,
            "key": list(self.key),
            "num_leaves": len(self.leaves),
        }
        (directory / "state.json").write_text(json.dumps(numbers, indent=1) + "\n")
        np.savez(directory / "leaves.npz", *self.leaves)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote; nothing is ever unpickled."""
        numbers = json.loads((directory / "state.json").read_text())
        with np.load(directory / "leaves.npz", allow_pickle=False) as arrays:
            leaves = tuple(arrays[f"arr_{place}"] for place in range(numbers["num_leaves"]))
        first, second = numbers["key"]
        return cls(numbers["generation"], numbers["first_chain"], (first, second), leaves)
