"""Selections by programs that keep every candidate row, in NumPy, with their exact laws.

An outcome is a vector of counts by state; a law is a dict of probabilities by outcome.
"""

import itertools

import numpy as np


def product_law(law, number):
    """All sequences of `number` independent rows with their probabilities."""
    for rows in itertools.product(range(len(law)), repeat=number):
        yield rows, float(np.prod([law[row] for row in rows]))


def outcome(rows, num_states):
    """Counts by state of a sequence of rows."""
    return tuple(np.bincount(np.asarray(rows, int), minlength=num_states).tolist())


def added(pairs):
    """A law from pairs of outcome and probability."""
    found = {}
    for one, probability in pairs:
        found[one] = found.get(one, 0.0) + probability
    return found


def independent(law, size):
    """The law of independent rows."""
    law = np.asarray(law, float) / np.sum(law)
    return added((outcome(rows, len(law)), p) for rows, p in product_law(law, size))


def top(law, scores, candidates, size, temperature=0.0):
    """The best `size` of all candidates, ties at random; or without replacement by weight."""
    pairs = []
    for rows, probability in product_law(law, candidates):
        if probability == 0:
            continue
        if temperature == 0:
            orders = best_sets(rows, scores, size)
        else:
            weights = np.exp([scores[row] / temperature for row in rows])
            orders = sequential(weights, size)
        for chosen, share in orders:
            kept = outcome([rows[index] for index in chosen], len(law))
            pairs.append((kept, probability * share))
    return added(pairs)


def best_sets(rows, scores, size):
    """All sets of candidates that random ties may choose, with their probabilities."""
    values = np.array([scores[row] for row in rows])
    threshold = np.sort(values)[::-1][size - 1]
    sure = np.flatnonzero(values > threshold).tolist()
    tied = np.flatnonzero(values == threshold).tolist()
    sets = list(itertools.combinations(tied, size - len(sure)))
    return [([*sure, *some], 1 / len(sets)) for some in sets]


def sequential(weights, size):
    """All orders of `size` candidates drawn one after the other without replacement."""
    for order in itertools.permutations(range(len(weights)), size):
        left, share = float(np.sum(weights)), 1.0
        for index in order:
            share *= weights[index] / left
            left -= weights[index]
        yield order, share


def best_of_law(law, rewards, candidates, temperature=1.0):
    """The law of one chosen row, over all sequences of its candidates."""
    law = np.asarray(law, float) / np.sum(law)
    chosen = np.zeros(len(law))
    for rows, probability in product_law(law, candidates):
        values = np.array([rewards[row] for row in rows], float)
        if temperature == 0:
            share = values == values.max()
        else:
            share = np.exp((values - values.max()) / temperature)
        for row, part in zip(rows, share / share.sum(), strict=True):
            chosen[row] += probability * part
    return chosen


def best_of(law, populations, candidates, size, shares, temperature=1.0):
    """The law of `size` chosen rows, with raters from several populations."""
    parts = [best_of_law(law, rewards, candidates, temperature) for rewards in populations]
    return independent(np.tensordot(shares, parts, 1), size)


def accept(law, probabilities, size):
    """Rows drawn until enough of them are accepted."""
    return independent(np.asarray(law) * probabilities, size)


def edit(law, target, size):
    """Rows that were changed one by one."""
    law = np.asarray(law, float) / np.sum(law)
    pairs = []
    for rows, probability in product_law(law, size):
        pairs.append((outcome([target[row] for row in rows], len(law)), probability))
    return added(pairs)
