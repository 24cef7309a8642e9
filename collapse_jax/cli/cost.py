"""Say how long a command is expected to take, before it begins."""

import sys

_DAY = 24.0  # hours
_WORTH_SAYING = 1 / 60  # hours: nobody waits for a command that ends within a minute


def duration(hours: float) -> str:
    """Return a duration in words.

    Args:
      hours: the duration.

    >>> duration(0.01), duration(0.5), duration(3.25), duration(65.0)
    ('36 s', '30 min', '3.2 h', '65 h (3 days)')
    """
    if hours >= 2 * _DAY:
        return f"{hours:,.0f} h ({hours / _DAY:,.0f} days)"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 40 else f"{3600 * hours:.0f} s"


def announce(what: str, hours: float) -> None:
    """Write the expected time to stderr if it is more than a minute.

    Args:
      what: what is run, the start of the line.
      hours: expected duration on two cores.
    """
    if hours > _WORTH_SAYING:
        sys.stderr.write(
            f"{what}: about {duration(hours)} on two cores, estimated from measured rates\n"
        )
