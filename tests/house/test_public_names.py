"""Every public name has a docstring, and an example that pytest runs, or a reason here.

An example names the thing and shows a result. A reason for a module is one for all its names:
where they are all used alike, one example of the module stands for them.
"""

import doctest
import importlib
import inspect
import pkgutil

import pytest

LISTED = (
    "collapse_jax",
    "collapse_jax.experiments",
    "collapse_jax.lm",
    "collapse_jax.testing",
)
WHOLE = (
    "collapse_jax.families.gaussian_mixture.metrics",
    "collapse_jax.metrics",
    "collapse_jax.testing.strategies",
    "collapse_jax.theory",
)
INTERNAL = {
    "collapse_jax.theory.checks": "what theory functions accept",
    "collapse_jax.theory.occupancy": "how the rows of the dual's matrix are built",
}
EXAMPLE_OF_THE_MODULE = {
    "collapse_jax.experiments": "a run takes seconds and is a command, see tests/cli/test_cli.py",
    "collapse_jax.testing.strategies": "hypothesis draws from all of them in the same way",
}
_PROTOCOL = "abstract; examples/custom_family.py and CONTRIBUTING.md have subclasses"
_GIVEN = "given to the methods of a policy by the chain, never made by a user"
REASONS = {
    "collapse_jax.compile_for": "needs compilers that are installed apart",
    "collapse_jax.lm.compile_for": "as collapse_jax.compile_for",
    "collapse_jax.AbstractCorpus": _PROTOCOL,
    "collapse_jax.AbstractFamily": _PROTOCOL,
    "collapse_jax.AbstractPolicy": _PROTOCOL,
    "collapse_jax.AbstractSelection": "abstract; core/selection.py has a subclass, Accept",
    "collapse_jax.AbstractSource": _PROTOCOL,
    "collapse_jax.CountsSource": _PROTOCOL,
    "collapse_jax.MomentsSource": _PROTOCOL,
    "collapse_jax.ModelDraw": _GIVEN,
    "collapse_jax.OriginalDraw": _GIVEN,
    "collapse_jax.GaussianMixture": "examples/mixture_film.py: EM takes long to compile",
    "collapse_jax.LanguageModel": "examples/tiny_language_model.py: it trains networks",
    "collapse_jax.VAE": "examples/vae_grid.py: it trains networks",
    "collapse_jax.Plan": "the result of plan",
    "collapse_jax.TheoryComparison": "the result of compare_with_theory",
    "collapse_jax.lm.TrainingState": "what Trainer.start returns",
    "collapse_jax.testing.check_family": "examples/custom_family.py: nine rules are compiled",
    "collapse_jax.testing.check_policy": "as check_family",
    "collapse_jax.theory.ancestors.AncestorLaw": "the result of ancestor_law",
    "collapse_jax.theory.ancestor_chains.support_sizes": "as absorption_times, one more program",
    "collapse_jax.theory.kernel_density.KernelMoments": "the result of expected_moments",
    "collapse_jax.theory.bayesian.DirichletMoments": "the result of dirichlet_moments",
    "collapse_jax.theory.bayesian.NormalMoments": "the result of normal_moments",
    "collapse_jax.theory.series_density.SeriesMoments": "the result of expected_moments",
    "collapse_jax.theory.gaussian_accumulation.MomentErrors": "the result of fresh_share_moments",
}


def modules_of(name):
    """The module, and those within it if it is a package."""
    module = importlib.import_module(name)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if found.name not in INTERNAL:
            yield importlib.import_module(found.name)


def public_names():
    """Functions and classes by their name within the module where a user finds them."""
    found = {}
    for name in LISTED:
        module = importlib.import_module(name)
        found |= {f"{name}.{item}": getattr(module, item) for item in module.__all__}
    for module in (module for name in WHOLE for module in modules_of(name)):
        for item, value in vars(module).items():
            if not item.startswith("_") and getattr(value, "__module__", "") == module.__name__:
                found[f"{module.__name__}.{item}"] = value
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


NAMES = public_names()


def has_example(docstring, name=""):
    """Whether code that is run names the thing and shows what comes out."""
    examples = doctest.DocTestParser().get_examples(docstring or "")
    run = [one for one in examples if not one.options.get(doctest.SKIP)]
    shown = any(one.want or "assert" in one.source for one in run)
    return shown and any(name in one.source for one in run)


def complaint(name, value):
    """What is missing, "" for nothing."""
    if not inspect.getdoc(value) or not value.__doc__:
        return "no docstring"
    if has_example(value.__doc__, name.rpartition(".")[2]):
        return "an example, and a reason for none" if name in REASONS else ""
    module = name.rpartition(".")[0]
    return "" if name in REASONS or module in EXAMPLE_OF_THE_MODULE else "no example"


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in NAMES}))
def test_public_names_have_examples(module):
    mine = {name: value for name, value in NAMES.items() if name.rpartition(".")[0] == module}
    found = {name: complaint(name, value) for name, value in mine.items()}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("name", EXAMPLE_OF_THE_MODULE)
def test_modules_have_examples(name):
    assert has_example(importlib.import_module(name).__doc__)


def test_reasons_are_for_what_there_is():
    assert len(NAMES) > 120
    assert [name for name in REASONS if name not in NAMES] == []
    assert all([*REASONS.values(), *INTERNAL.values(), *EXAMPLE_OF_THE_MODULE.values()])
    for name in INTERNAL:
        importlib.import_module(name)


def test_what_is_missing_is_found():
    def undocumented():
        pass

    def shown():
        """It is shown.

        >>> shown() is None
        True
        """

    def skipped():
        """It is not run.

        >>> skipped() is None  # doctest: +SKIP
        True
        """

    def other():
        """Another one is shown.

        >>> shown() is None
        True
        """

    def silent():
        """Nothing comes out.

        >>> silent()
        """

    functions = (undocumented, shown, skipped, other, silent)
    found = [complaint(f"here.{one.__name__}", one) for one in functions]
    assert found == ["no docstring", "", "no example", "no example", "no example"]
