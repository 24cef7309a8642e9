"""The paper's variational autoencoder in PyTorch, and our parameters as its own."""

import numpy as np
import torch
from torch import nn


class TorchVAE(nn.Module):
    """As in the public code of Shumailov et al. 2024."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 4, 2, 1)
        self.conv2 = nn.Conv2d(64, 128, 4, 2, 1)
        self.mean = nn.Linear(6272, 20)
        self.log_variance = nn.Linear(6272, 20)
        self.linear = nn.Linear(20, 6272)
        self.transposed1 = nn.ConvTranspose2d(128, 64, 4, 2, 1)
        self.transposed2 = nn.ConvTranspose2d(64, 1, 4, 2, 1)

    def encode(self, images):
        hidden = torch.relu(self.conv2(torch.relu(self.conv1(images)))).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, latents):
        hidden = self.linear(latents).view(-1, 128, 7, 7)
        return torch.sigmoid(self.transposed2(torch.relu(self.transposed1(hidden))))

    def loss(self, images, noise):
        """Summed over the batch."""
        images = images.view(-1, 1, 28, 28)
        mean, log_variance = self.encode(images)
        decoded = self.decode(mean + torch.exp(0.5 * log_variance) * noise)
        likelihood = nn.functional.binary_cross_entropy(decoded, images, reduction="sum")
        return likelihood - 0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())


_LAYERS = {
    ("encoder", "halve1"): "conv1",
    ("encoder", "halve2"): "conv2",
    ("encoder", "mean"): "mean",
    ("encoder", "log_variance"): "log_variance",
    ("decoder", "linear"): "linear",
    ("decoder", "double1"): "transposed1",
    ("decoder", "double2"): "transposed2",
}


def as_torch(params):
    """Our parameters (or gradients) by PyTorch's names, as NumPy arrays.

    PyTorch flattens features channel by channel, we pixel by pixel.
    """
    converted = {}
    for (part, layer), name in _LAYERS.items():
        kernel = np.asarray(params[part][layer]["kernel"])
        bias = np.asarray(params[part][layer]["bias"])
        if layer in ("mean", "log_variance"):
            kernel = kernel.reshape(7, 7, 128, 20).transpose(3, 2, 0, 1).reshape(20, 6272)
        elif layer == "linear":
            kernel = kernel.reshape(20, 7, 7, 128).transpose(3, 1, 2, 0).reshape(6272, 20)
            bias = bias.reshape(7, 7, 128).transpose(2, 0, 1).reshape(6272)
        else:  # [height, width, outer, inner], for PyTorch [inner, outer, height, width]
            kernel = kernel.transpose(3, 2, 0, 1)
        converted[f"{name}.weight"], converted[f"{name}.bias"] = kernel, bias
    return converted


def torch_model(params):
    """The network with our parameters."""
    model = TorchVAE()
    arrays = as_torch(params)
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return model
