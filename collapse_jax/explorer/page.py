"""Build the page of the explorer: controls, curves, the code of what is shown."""

import functools
import json
from importlib import resources

from collapse_jax.explorer.adjustable import KINDS, MOST_ROWS
from collapse_jax.explorer.curves import FAMILIES, MOST_GENERATIONS, Settings
from collapse_jax.report.page import page

_BODY = """<p class="finding" id="said" aria-live="polite">Starting: the first curves compile for
some seconds, once per family and policy.</p>
<form class="controls" id="settings" aria-label="settings">
<span class="control"><label for="family">family</label><select id="family"></select></span>
<span class="control"><label for="policy">policy</label><select id="policy"></select></span>
<span class="control"><label for="rows">rows M</label><input id="rows" type="range">
<output for="rows"></output></span>
<span class="control"><label for="share">share of originals</label><input id="share" type="range">
<output for="share"></output></span>
<span class="control"><label for="generations">generations</label>
<input id="generations" type="range"><output for="generations"></output></span>
</form>
<div class="view" id="curves" hidden></div>
<h2>The same in Python</h2>
<pre id="python" tabindex="0"></pre><p><button type="button" data-copies="python">Copy</button></p>
<h2>The same on the command line</h2>
<pre id="command" class="command" tabindex="0"></pre>
<p><button type="button" data-copies="command">Copy</button></p>
<p class="unit">Solid: simulated; band: 5 to 95 % of chains; dashed: exact expectation, where one is
known and quick to compute. Curves of the code differ from these by the error of Monte Carlo.</p>
"""


def steps_of(most: int) -> list[int]:
    """Return the stops of a slider: 1, 2, 3, 5, 7, 10, 15, 20, 30, ... up to a number.

    Args:
      most: the last stop.

    >>> steps_of(100)
    [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100]
    """
    found = [1, 2, 3, 5, 7]
    decade = 10
    while decade <= most:
        found += [int(decade * one) for one in (1, 1.5, 2, 3, 5, 7)]
        decade *= 10
    return [one for one in found if one <= most]


@functools.cache
def explorer_page() -> str:
    """Return the page, which asks the server for curves whenever a control moves."""
    shares = [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]
    choices = {
        "families": {name: one.least for name, one in FAMILIES.items()},
        "policies": KINDS,
        "rows": steps_of(MOST_ROWS),
        "share": [*shares, *(round(0.1 * k, 1) for k in range(1, 11))],
        "generations": steps_of(MOST_GENERATIONS),
        "start": vars(Settings()),
    }
    script = (resources.files("collapse_jax.explorer") / "assets" / "explorer.js").read_text()
    script = script.replace("CHOICES", json.dumps(choices), 1)
    return page("Explore model collapse", _BODY, width="70rem", script=script)
