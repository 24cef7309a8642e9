"""Find the share of a real text that must stay in every corpus, so that its rare words survive.

Unigram models of the prose in Python's own documentation: each is trained on words drawn from
the one before it and on a share of words of the original text.

Run: python examples/keep_words.py
"""

from pydoc_data import topics

import collapse_jax as cj


def main(shares=(0.0, 0.01, 0.05, 0.1, 0.3), num_samples=5000, num_chains=16, num_generations=100):
    """Print how many distinct words are left.

    Args:
      shares: shares of original words in every corpus, in [0, 1].
      num_samples: words of a corpus.
      num_chains: chains for each share.
      num_generations: last generation G.

    Returns:
      Their number in the last generation, by share.
    """
    source = cj.Empirical.words("\n".join(topics.topics.values()))
    chain = cj.Chain(cj.Discrete(), source, cj.Mixing(num_samples))
    records = cj.sweep(
        chain,
        {"policy.gamma": list(shares)},
        key=0,
        num_chains=num_chains,
        num_generations=num_generations,
        every=num_generations,
    )
    words = records["support_size"].mean(axis=1)  # [generation, gamma]
    print(f"{len(source.law):,} words; a corpus of {num_samples:,} has {words[0, 0]:,.0f} of them")
    print(f"after {num_generations} generations:")
    for index, share in enumerate(shares):
        left = words[-1, index]
        print(f"  {share:4.0%} original: {left:6,.0f} words, {left / words[0, index]:.0%} of those")
    return dict(zip(shares, words[-1].tolist(), strict=True))


if __name__ == "__main__":
    main()
