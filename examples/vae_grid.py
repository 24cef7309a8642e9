"""Draw digits with autoencoders, each trained on digits of its predecessor.

Run: python examples/vae_grid.py grid.png    (a few minutes on two cores)
"""

import sys

import collapse_jax as cj
from collapse_jax.plots.vae import figure_samples


def main(path="grid.png", num_generations=5, num_images=None, **settings):
    """Write the grid, a row per generation.

    Args:
      path: the PNG to write.
      num_generations: last generation G.
      num_images: original images, None for all.
      **settings: of `VAE`, in place of those of this program.

    Returns:
      The records, with decoded images.
    """
    settings = {"image_size": 28, "epochs": 30, "num_evaluated": 2000} | settings
    source = cj.Images.load("digits", settings["image_size"], num_images)
    chain = cj.Chain(cj.VAE(**settings), source, cj.Replace())
    records = cj.simulate(
        chain, key=0, num_chains=1, num_generations=num_generations, metrics=("images",)
    )
    figure_samples(records.dataset).savefig(path, dpi=150)
    for generation, std in zip(records["generation"], records["latent_std"][:, 0], strict=True):
        print(f"model {generation}: std of latents {std:.3f}")
    print(f"grid in {path}")
    return records


if __name__ == "__main__":
    main(*sys.argv[1:2])
