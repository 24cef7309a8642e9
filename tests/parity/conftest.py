"""Tests against PyTorch share modules of this folder."""

import sys
from pathlib import Path

collect_ignore = ["comparisons.py", "golden.py", "golden_lm.py", "golden_opt.py", "losses.py"]
collect_ignore += ["numbers_of_lm.py", "numbers_of_opt.py", "numbers_of_parity.py"]
collect_ignore += ["torch_lm.py", "torch_opt.py", "torch_vae.py"]
sys.path.insert(0, str(Path(__file__).parent))
