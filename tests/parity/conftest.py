"""Tests against PyTorch share modules of this folder."""

import sys
from pathlib import Path

collect_ignore = ["golden.py", "golden_opt.py", "losses.py"]
collect_ignore += ["numbers_of_opt.py", "numbers_of_parity.py", "torch_opt.py", "torch_vae.py"]
sys.path.insert(0, str(Path(__file__).parent))
