"""Random inputs: the tests share modules with the script `inputs.py`."""

import sys
from pathlib import Path

collect_ignore_glob = ["inputs.py", "odd*.py"]
sys.path.insert(0, str(Path(__file__).parent))
