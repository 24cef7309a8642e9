"""What a run directory was made by, so that it can be gone on with."""

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from collapse_jax.cli.options import SharedRunOptions, parse

NAME = "command.json"


@dataclasses.dataclass(frozen=True)
class Command:
    """An experiment as it was asked for.

    Attributes:
      experiment: its name.
      arguments: of `collapse run`.
      scale: of `collapse reproduce`, or "".
      changes: settings that `collapse extend` raised.
      settings: that `collapse reproduce` was given beside the scale.
      seed: of every random number.
    """

    experiment: str
    arguments: Sequence[str] = ()
    scale: str = ""
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    seed: int = 0
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def config(self) -> Any:
        """The experiment's config.

        Raises:
          ValueError: for options that it does not have.
        """
        from collapse_jax.experiments import EXPERIMENTS

        kind: Any = EXPERIMENTS[self.experiment]
        if self.scale:
            config = dataclasses.replace(kind.at_scale(self.scale), **self.settings)
        else:
            program = f"collapse run {self.experiment}"
            config = parse(SharedRunOptions, kind, program, self.arguments).experiment
        for name in self.changes:
            if not hasattr(config, name):
                option = name.replace("_", "-")
                raise ValueError(
                    f"--{option} is not allowed: {self.experiment} has no such setting; "
                    f"see `collapse run {self.experiment} --help`"
                )
        return dataclasses.replace(config, **self.changes)

    def save(self, path: Path) -> None:
        """Write it into a run directory."""
        path.mkdir(parents=True, exist_ok=True)
        temporary = path / f"{NAME}-{secrets.token_hex(8)}"  # several processes may write it
        temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
        temporary.replace(path / NAME)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it.

        Raises:
          ValueError: if the directory was not made by `collapse run`.
        """
        from collapse_jax.experiments import EXPERIMENTS

        try:
            command = cls(**json.loads((path / NAME).read_text()))
            if command.experiment not in EXPERIMENTS:
                raise KeyError(command.experiment)
        except (OSError, ValueError, TypeError, KeyError):
            raise ValueError(
                f"path={str(path)!r} is not allowed: it has no {NAME} of `collapse run`; "
                "a run made in Python goes on when the same call is made again"
            ) from None
        return command
