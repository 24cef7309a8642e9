"""Run the command line as `python -m collapse_jax`."""

from collapse_jax.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
