"""Implement `collapse explore`: a local page whose sliders change a chain."""

import dataclasses
import sys
import webbrowser
from collections.abc import Sequence
from typing import Any

from collapse_jax.cli.options import parse_plain
from collapse_jax.cli.output import check_environment


@dataclasses.dataclass(frozen=True)
class ExploreOptions:
    """Serve a page on this machine whose controls change a chain.

    Controls choose family, policy, rows M, the share of originals and generations; curves and
    their theory follow. The address has a token and is printed; Ctrl-C ends the server.
    """

    port: int = 0
    """Port on 127.0.0.1; 0 for a free one."""
    browser: bool = True
    """Open the page in the browser if this is a terminal."""


def explore_command(arguments: Sequence[str]) -> int:
    """Serve the explorer until it is interrupted.

    Args:
      arguments: of the command line, after `explore`.

    Returns:
      Exit code 0.

    Raises:
      ArgumentError: for an unknown option, or a port that cannot be used.
    """
    options: Any = parse_plain(ExploreOptions, "collapse explore", arguments)
    check_environment()
    from collapse_jax.explorer import Explorer

    explorer = Explorer(options.port)
    sys.stdout.write(f"explorer: {explorer.url}\nCtrl-C ends it\n")
    sys.stdout.flush()
    if options.browser and sys.stdout.isatty():
        webbrowser.open(explorer.url)
    try:
        explorer.serve()
    except KeyboardInterrupt:
        sys.stdout.write("explorer: ended\n")
    return 0
