"""Writes golden.json: what PyTorch computes, for machines without it.

python tests/parity/golden.py
"""

import json
from pathlib import Path

import numbers_of_parity as numbers
import torch
from torch_vae import torch_model


def main():
    """Losses of ten steps of Adam, and sums of absolute gradients of the first."""
    model = torch_model(numbers.make_params())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    found = {"torch": torch.__version__, "losses": [], "gradients": {}}
    for images, noise in zip(*numbers.make_batches(), strict=True):
        optimizer.zero_grad()
        loss = model.loss(torch.tensor(images), torch.tensor(noise))
        loss.backward()
        if not found["losses"]:
            found["gradients"] = {
                name: parameter.grad.abs().sum().item()
                for name, parameter in model.named_parameters()
            }
        optimizer.step()
        found["losses"].append(loss.item())
    Path(__file__).with_name("golden.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
