"""Try random inputs until time is up, and print what is neither accepted nor refused.

    python tests/fuzz/inputs.py --minutes 20

Tables, images, texts and command lines are drawn by Hypothesis, which also shortens an input
that fails. Each failure is printed once: the kind of input, the error, where it was raised, and
the input. The exit code is 1 if there is one. `--only tables` tries one kind.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import odd_inputs
import odd_tables
from hypothesis import HealthCheck, Phase, given, seed, settings

KINDS = {
    "tables": (odd_tables.text_tables(), odd_tables.check_text_table),
    "typed": (odd_tables.typed_tables(), odd_tables.check_typed_table),
    "damaged": (odd_tables.damaged_files(), odd_tables.check_damaged_file),
    "objects": (odd_tables.OBJECTS, odd_tables.check_objects),
    "images": (odd_inputs.image_files(), odd_inputs.check_images),
    "texts": (odd_inputs.texts(), odd_inputs.check_text),
    "commands": (odd_inputs.command_lines(), odd_inputs.check_command_line),
}
EXAMPLES = {"commands": 5}  # of one kind before the next kind has its turn; a run takes seconds
LONGEST = 400  # characters of a printed input


def property_of(kind):
    """Return a property of the inputs of a kind, and a list that holds the last input tried.

    Args:
      kind: a key of `KINDS`.
    """
    strategy, check = KINDS[kind]
    shown = []

    @given(strategy)
    def holds(case):
        shown[:] = [case]
        with tempfile.TemporaryDirectory() as folder:
            check(case, folder)

    return holds, shown


def try_kind(kind, number):
    """Try inputs of a kind; return the failure of the shortest one, and this input, or None."""
    holds, shown = property_of(kind)
    chosen = settings(
        max_examples=EXAMPLES.get(kind, 200),
        database=None,
        report_multiple_bugs=False,
        deadline=None,
        phases=[Phase.generate] if kind == "commands" else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        seed(number)(chosen(holds))()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(frames) if "collapse_jax" in f.filename), frames[-1])
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return f"{kind}: {reason} [{where}]", str(shown[0])[:LONGEST]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    parser.add_argument("--seed", type=int, help="of the first round; by default the time")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    until = time.monotonic() + 60 * chosen.minutes
    number = int(time.time()) if chosen.seed is None else chosen.seed
    first, found = number, set()
    while time.monotonic() < until:
        for kind in chosen.only or KINDS:
            failure = try_kind(kind, number)
            if failure and failure[0] not in found:
                found.add(failure[0])
                again = f"--only {kind} --seed {number}"
                sys.stdout.write(f"{failure[0]} for {failure[1]!r} ({again})\n")
                sys.stdout.flush()
        number += 1
    sys.stdout.write(f"{number - first} rounds of random inputs, {len(found)} failures\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
