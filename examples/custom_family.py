"""Define a family: Student's t, whose heavy tails do not slow collapse down.

Run: python examples/custom_family.py
"""

import jax
import jax.numpy as jnp

import collapse_jax as cj
from collapse_jax.config import config, static
from collapse_jax.testing import check_family


@config
class StudentT(cj.AbstractFamily):
    """Location and scale of t with `dof` degrees of freedom, by maximum likelihood (EM)."""

    dof: float = 4.0
    steps: int = static(default=40)

    def fit(self, keys, corpus, previous, generation0):
        """Reweight mean and variance iteratively (Liu and Rubin, Statistica Sinica 1995)."""
        x, weights = corpus.absolute_rows[:, 0], corpus.full_weights()

        def step(_, estimate):
            location, variance = estimate
            pull = weights * (self.dof + 1)
            pull = pull / (self.dof + (x - location) ** 2 / variance)
            location = jnp.sum(pull * x) / jnp.sum(pull)
            return location, jnp.sum(pull * (x - location) ** 2) / jnp.sum(weights)

        mean = jnp.sum(weights * x) / jnp.sum(weights)
        start = mean, jnp.sum(weights * (x - mean) ** 2) / jnp.sum(weights)
        location, variance = jax.lax.fori_loop(0, self.steps, step, start)
        status = jnp.where(start[1] > 0, cj.Status.OK, cj.Status.DEGENERATE)  # all rows are equal
        return cj.Fit((location, variance), status)

    def draw(self, keys, params, size, capacity, generation0):
        """Draw rows of the model into the first `size` of `capacity` slots."""
        location, variance = params
        scores = jax.random.t(keys.key(cj.Purpose.DRAW), self.dof, (capacity, 1))
        return cj.Rows.of_rows(location + jnp.sqrt(variance) * scores, size)

    def measure(self, params, corpus, source, generation0):
        """Return location and ln scale."""
        return {"location": params[0], "log_scale": jnp.log(params[1]) / 2}


if __name__ == "__main__":
    source = cj.Sampler(lambda key, n: jax.random.t(key, 4.0, (n, 1)), 1)
    print("rules checked:", ", ".join(check_family(StudentT(), source)))
    chain = cj.Chain(StudentT(), source, cj.Replace(100))
    records = cj.simulate(chain, key=0, num_chains=500, num_generations=100)
    lost = records["log_scale"].mean(axis=1)
    print(f"mean of ln scale: {lost[0]:.3f} in generation 0, {lost[100]:.3f} in generation 100")
