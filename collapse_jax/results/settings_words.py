"""List the settings of a run in words, for the head of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from collapse_jax.results.policy_words import policy_name
from collapse_jax.results.records import Records
from collapse_jax.results.setting import Regime, Setting, regime_of

_FAMILIES = {
    "Gaussian": "Gaussian",
    "Discrete": "discrete",
    "GaussianMixture": "Gaussian mixture",
    "VAE": "variational autoencoder",
    "LanguageModel": "language model",
}
_ORIGINALS = {
    Regime.REPLACE: "in D_0 alone",
    Regime.REDRAWN: "redrawn for every corpus",
    Regime.KEPT: "kept: every corpus has some of D_0",
    Regime.ACCUMULATE: "kept: every corpus has all of D_0",
    Regime.SUBSAMPLE: "kept in the pool that corpora are chosen from",
}
_MOST_VALUES = 12  # of a list that is shown whole
_LONGEST = 60  # characters of a value
_NO_OPTIONS = (
    "name",
    "type",
    "policy",
    "source",
    "num_chains",
    "num_generations",
)  # rows of their own
_HIDDEN = ("type", "classifier", "model")  # parts of a family that no option sets


def settings_of(records: Records) -> list[tuple[str, str]]:
    """Return what was run as pairs of a name and words, the family first.

    Args:
      records: of an experiment, or of `simulate`.

    >>> import collapse_jax as cj
    >>> chain = cj.Chain(cj.Gaussian(1), cj.Normal(0.0, 1.0), cj.Mixing(100, gamma=0.1))
    >>> rows = settings_of(cj.simulate(chain, key=0, num_chains=8, num_generations=2))
    >>> dict(rows)["policy"], dict(rows)["original rows"]
    ('mixing, gamma = 0.1', 'a normal law, redrawn for every corpus')
    """
    setting, config = Setting.of(records), records.config
    experiment = config.get("experiment", {})
    axes = config.get("axes", {})
    varied = [path.partition(".")[2] for path in axes if path.partition(".")[0] == "policy"]
    found = []
    if kind := str(setting.family.get("type", "")):
        found.append(("family", f"{_FAMILIES.get(kind, kind)}{_options(setting.family)}"))
    if setting.policy and "" not in varied:  # "" is the axis of whole policies
        more = f", varied {' and '.join(varied)}" if varied else ""
        found.append(("policy", f"{policy_name(setting.policy)}{more}"))
    if setting.source:
        originals = "" if "" in varied else _ORIGINALS.get(_regime(setting, varied), "")
        words = f"{setting.source_name}{f', {originals}' if originals else ''}"
        found.append(("original rows", words))
    found += [(f"varied: {path}", _value(values)) for path, values in axes.items()]
    if (size := _size(setting)) and not any(path.endswith("num_samples") for path in axes):
        found.append(("rows M of a corpus", size))
    varied_chains = records["num_chains"].tolist() if "num_chains" in records.variables else None
    found.append(("chains", _value(varied_chains) if varied_chains else f"{setting.num_chains:,}"))
    found.append(("generations", f"{setting.num_generations:,}"))
    if "seed" in config:
        found.append(("seed", f"{config['seed']}"))
    if not experiment.get("is_sweep"):
        found += [
            (f"--{name.replace('_', '-')}", _value(value))
            for name, value in experiment.items()
            if name not in _NO_OPTIONS
        ]
    return found


def _regime(setting: Setting, varied: Sequence[str]) -> Regime:
    """Return the regime, of a sweep that of a share of original rows that is not 0."""
    if "gamma" not in varied:
        return setting.regime
    return regime_of({**setting.policy, "gamma": [1.0]})


def _size(setting: Setting) -> str:
    """Return the sizes of corpora; "" where the config does not tell."""
    if "num_samples" in setting.records.coordinates:
        return _value(setting.records["num_samples"].tolist())
    return f"{setting.size:,}" if setting.size else ""


def _options(family: Mapping[str, Any]) -> str:
    shown = [
        f"{name} = {_value(value)}"
        for name, value in family.items()
        if name not in _HIDDEN and isinstance(value, int | float | str)
    ]
    return f": {', '.join(shown)}" if shown else ""


def _value(value: Any) -> str:
    """Return a setting as typed; of a long list its ends."""
    if isinstance(value, Mapping):
        shape = value.get("shape")
        return f"{shape[0]:,} values" if shape else policy_name(value)
    if isinstance(value, (list, tuple)):
        shown = [_value(one) for one in value]
        if len(shown) > _MOST_VALUES:
            shown = [*shown[:3], "...", shown[-1]]
        if any(isinstance(one, Mapping) for one in value):
            return "; ".join(dict.fromkeys(shown))
        return " ".join(shown) or "none"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
