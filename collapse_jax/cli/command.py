"""Save and load the command that created a run directory, to resume and extend the run."""

import dataclasses
import json
import secrets
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from collapse_jax.cli.options import SharedRunOptions, parse
from collapse_jax.store.files import damaged, explain, store_errors
from collapse_jax.store.journal import FIRST
from collapse_jax.utils.check import ArgumentError

NAME = "command.json"
_WITH_VALUE = ("--out", "--process")  # options that change no number, and take a value
_ALONE = ("--overwrite", "--quiet", "--distributed", "--retry")


def _settings_of(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that decide the numbers of a run."""
    found, is_value = [], False
    for argument in arguments:
        option = argument.partition("=")[0]
        if not is_value and option not in (*_WITH_VALUE, *_ALONE):
            found.append(argument)
        is_value = not is_value and argument in _WITH_VALUE
    return found


@dataclasses.dataclass(frozen=True)
class Command:
    """The command that created a run.

    Attributes:
      experiment: name of the experiment.
      arguments: of `collapse run`, after the name.
      scale: of `collapse reproduce`, or "".
      changes: settings that `collapse extend` raised, by name.
      seed: of every random number.
      settings: further settings of `collapse reproduce`, by name.
    """

    experiment: str
    arguments: Sequence[str] = ()
    scale: str = ""
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    seed: int = 0
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def config(self) -> Any:
        """Build the experiment with its settings.

        Returns:
          An instance of the experiment's class.

        Raises:
          ValueError: if the experiment does not have one of the options.
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
                raise ArgumentError(
                    f"--{option} is not allowed: {self.experiment} does not have this setting; "
                    f"see `collapse run {self.experiment} --help`"
                )
        return dataclasses.replace(config, **self.changes)

    @property
    def words(self) -> str:
        """Return the command as typed, without its output directory and what changes no number."""
        if self.scale:
            settings = [f"--{name}={value}" for name, value in self.settings.items()]
            settings = [one.replace("--source=", "--images=", 1) for one in settings]
            words = ["reproduce", "--only", self.experiment, "--scale", self.scale, *settings]
            words += ["--seed", str(self.seed)]
        else:
            words = ["run", self.experiment, *_settings_of(self.arguments)]
        changes = [f"--{name.replace('_', '-')} {value}" for name, value in self.changes.items()]
        extended = f", then collapse extend RUN {' '.join(changes)}" if changes else ""
        return f"collapse {shlex.join(words)}{extended}"

    def save(self, path: Path) -> None:
        """Write the command into a run directory.

        Args:
          path: the directory; created if it does not exist.
        """
        with store_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            temporary = path / f"{NAME}-{secrets.token_hex(8)}"  # several processes may write
            temporary.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
            temporary.replace(path / NAME)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the command of a run directory.

        Args:
          path: the directory.

        Returns:
          The command.

        Raises:
          ValueError: if the directory has no command of `collapse run` or `reproduce`.
        """
        try:
            command = cls(**json.loads((path / NAME).read_bytes()))
            command._check()
        except (FileNotFoundError, NotADirectoryError):
            raise ArgumentError(f"RUN={str(path)!r} is not allowed: {_why_not(path)}") from None
        except OSError as error:
            raise ArgumentError(f"RUN={str(path)!r} is not allowed: {explain(error)}") from None
        except (ValueError, TypeError):
            remedy = "take it from a backup, or run the experiment again in a new directory"
            raise damaged(path / NAME, f"it is not the {NAME} of `collapse run`", remedy) from None
        return command

    def _check(self) -> None:
        """Check the types of a file's values.

        Raises:
          TypeError: if `collapse run` did not write them.
        """
        from collapse_jax.experiments import EXPERIMENTS

        texts = [self.experiment, self.scale, *self.arguments, *self.settings.values()]
        numbers = [self.seed, *self.changes.values()]
        if not (
            isinstance(self.arguments, list)
            and isinstance(self.settings, dict)
            and isinstance(self.changes, dict)
            and all(isinstance(one, str) for one in texts)
            and all(type(one) is int for one in numbers)
            and self.experiment in EXPERIMENTS
        ):
            raise TypeError


def _why_not(path: Path) -> str:
    """Say why a path has no command, and what to do."""
    from collapse_jax.store.archive import is_archive

    with store_errors(path):
        if is_archive(path):
            return (
                "it is the archive of a complete run; pass the run directory, or make the run "
                "longer in Python with state=cj.Records.load(archive).state"
            )
        if path.is_file():
            return "it is a file, and a run is a directory; pass the --out of `collapse run`"
    if not path.is_dir():
        return "there is no such directory; pass the --out of `collapse run`"
    if (path / FIRST).is_file():
        return f"it has no {NAME} of `collapse run`; repeat the Python call that made the run"
    return f"it has no {NAME} of `collapse run`; pass the --out of `collapse run`"
