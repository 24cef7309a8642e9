"""Tests against PyTorch share modules of this folder."""

import sys
from pathlib import Path

collect_ignore = ["golden.py", "losses.py", "numbers_of_parity.py", "torch_vae.py"]
sys.path.insert(0, str(Path(__file__).parent))
