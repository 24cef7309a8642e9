"""The same models in transformers on PyTorch."""

import numpy as np
import torch
from transformers import OPTForCausalLM


def read_model(folder):
    """In float32, without dropout."""
    return OPTForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def read_nearby(folder, seed):
    """In float64, its weights changed by about as much as float32 rounds."""
    model = read_model(folder).double()
    random = torch.Generator().manual_seed(seed)
    for param in model.parameters():
        param.mul_(1 + 1e-6 * torch.randn(param.shape, generator=random, dtype=param.dtype))
    return model


def loss_and_gradients(model, tokens, mask, labels):
    """The mean loss, and gradients by name."""
    model.zero_grad()
    ids, mask, labels = (torch.tensor(array) for array in (tokens, mask, labels))
    loss = model(ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    gradients = {name: param.grad.numpy().copy() for name, param in model.named_parameters()}
    return loss.item(), gradients


@torch.no_grad()
def logits(model, tokens, mask):
    """Of every position."""
    return model(torch.tensor(tokens), attention_mask=torch.tensor(mask)).logits.float().numpy()


@torch.no_grad()
def generate(model, tokens, mask, max_new_tokens, **settings):
    """New tokens, padded to max_new_tokens."""
    ids, mask = torch.tensor(tokens), torch.tensor(mask)
    found = model.generate(
        ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, **settings
    )
    new = found[:, ids.shape[1] :].numpy()
    rest = max_new_tokens - new.shape[1]
    return np.pad(new, ((0, 0), (0, rest)), constant_values=model.config.pad_token_id)
