"""Film a Gaussian mixture that is fitted to its own rows, again and again.

Run: python examples/mixture_film.py film.gif
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

import collapse_jax as cj


def main(path="film.gif", num_samples=300, num_generations=400, every=10):
    """Write the film.

    Args:
      path: the GIF to write.
      num_samples: rows of a corpus.
      num_generations: last generation G.
      every: generations from one picture to the next.

    Returns:
      The records, with the rows of every recorded generation.
    """
    pair = cj.NormalMixture([0.5, 0.5], [[-2.0, 0.0], [2.0, 0.0]], [np.eye(2), np.eye(2)])
    chain = cj.Chain(cj.GaussianMixture(2, 2), pair, cj.Replace(num_samples))
    records = cj.simulate(
        chain,
        key=0,
        num_chains=1,
        num_generations=num_generations,
        every=every,
        metrics=("samples",),
    )
    figure, axis = plt.subplots(figsize=(4, 4))
    axis.set(xlim=(-6, 6), ylim=(-6, 6), aspect="equal")
    rows = axis.plot([], [], ".", color="0.6", markersize=3, label="rows")[0]
    means = axis.plot([], [], "x", color="#d55e00", markersize=9, label="means")[0]
    axis.legend(loc="upper right", frameon=False)

    def draw(index):
        rows.set_data(*records["samples"][index, 0].T)
        means.set_data(*records["means"][index, 0].T)
        axis.set_title(f"generation {records['generation'][index]}", loc="left")

    film = FuncAnimation(figure, draw, frames=len(records["generation"]))
    film.save(path, writer=PillowWriter(fps=10))
    plt.close(figure)
    print(f"{len(records['generation'])} pictures in {path}")
    return records


if __name__ == "__main__":
    main(*sys.argv[1:2])
