"""The command line: `collapse list`, `run`, `resume`, `extend`, `sweep`, `reproduce`, ..."""

import importlib
import sys
from collections.abc import Sequence

USAGE = """usage: collapse {list,run,resume,extend,sweep,reproduce,verify,plot,report} ...

  collapse list                        the experiments
  collapse run EXPERIMENT [options]    run one; --help lists its options
  collapse resume RUN                  go on with a run after whatever ended it
  collapse extend RUN [options]        make more chains or generations of a run
  collapse sweep EXPERIMENT [options]  run one for all of several values: --option 1,2,3
  collapse reproduce [--only NAMES]    run the studies; --scale smoke, laptop or paper
  collapse verify [--lane full]        hold simulations against exact laws, with error rates
  collapse plot RUN                    draw a run's figures again
  collapse report RUN                  write a run's report.html again
"""
COMMANDS = {
    "list": "collapse_jax.cli.run",
    "run": "collapse_jax.cli.run",
    "resume": "collapse_jax.cli.run",
    "extend": "collapse_jax.cli.run",
    "sweep": "collapse_jax.cli.sweep",
    "reproduce": "collapse_jax.cli.reproduce",
    "verify": "collapse_jax.cli.verify",
    "plot": "collapse_jax.cli.show",
    "report": "collapse_jax.cli.show",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; bad input prints one line and gives exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if given else 2
    try:
        if given[0] not in COMMANDS:
            known = ", ".join(COMMANDS)
            raise ValueError(
                f"command={given[0]!r} is not allowed: it must be one of {known}; see --help"
            )
        module = importlib.import_module(COMMANDS[given[0]])
        return getattr(module, f"{given[0]}_command")(given[1:])
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    except ValueError as error:
        sys.stderr.write(f"collapse: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"collapse: {str(stop) or 'interrupted'}\n")
        return 130
