"""The same models in transformers on PyTorch, of any architecture; positions follow the mask."""

import torch
from torch_opt import generate  # noqa: F401, the same call for all architectures
from transformers import AutoModelForCausalLM


def read_model(folder):
    """In float32, without dropout; every name and shape must be the model's."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    wrong = {name: value for name, value in report.items() if value}
    assert not wrong, wrong
    return model.eval()


@torch.no_grad()
def read_nearby(folder, seed):
    """In float64, its weights changed by about as much as float32 rounds."""
    model = read_model(folder).double()
    random = torch.Generator().manual_seed(seed)
    for param in model.parameters():
        param.mul_(1 + 1e-6 * torch.randn(param.shape, generator=random, dtype=param.dtype))
    return model


def _inputs(tokens, mask):
    mask = torch.tensor(mask)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return {"input_ids": torch.tensor(tokens), "attention_mask": mask, "position_ids": positions}


def loss_and_gradients(model, tokens, mask, labels):
    """The mean loss, and gradients by name."""
    model.zero_grad()
    loss = model(**_inputs(tokens, mask), labels=torch.tensor(labels)).loss
    loss.backward()
    gradients = {name: param.grad.numpy().copy() for name, param in model.named_parameters()}
    return loss.item(), gradients


@torch.no_grad()
def logits(model, tokens, mask):
    """Of every position."""
    return model(**_inputs(tokens, mask)).logits.float().numpy()
