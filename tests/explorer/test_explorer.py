"""The explorer: theory next to its curves, one compilation, refusals, and many random moves."""

import dataclasses
import json
import threading
import urllib.error
import urllib.request
from urllib.parse import urlencode

import numpy as np
import pytest

import collapse_jax as cj
from collapse_jax.explorer import Explorer, curves
from collapse_jax.explorer.curves import FAMILIES, Curves, Settings
from collapse_jax.explorer.page import explorer_page
from collapse_jax.explorer.server import asked_by
from collapse_jax.utils.check import ArgumentError


@pytest.fixture(autouse=True)
def few_chains(monkeypatch):
    """Simulate 2,048 chains at once, and 8,192 in all."""
    monkeypatch.setattr(curves, "MOST_CHAINS", 8192)
    monkeypatch.setitem(FAMILIES, "gaussian", dataclasses.replace(FAMILIES["gaussian"], piece=2048))


@pytest.fixture
def explorer():
    """Serve an explorer in another thread."""
    one = Explorer()
    thread = threading.Thread(target=one.serve)
    thread.start()
    yield one
    one.close()
    thread.join()


def ask(explorer, address="", host=None, **settings):
    """Return status and text of an answer."""
    url = explorer.url + address + (f"?{urlencode(settings)}" if settings else "")
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def look_at(settings, chains=0):
    """Return what a page without chains, or with some of them, gets."""
    return Curves(settings).look(chains)


def last(found, panel):
    """Return the last values of the curves of a panel, by name."""
    return {one["name"]: one["y"][-1] for one in found["view"]["panels"][panel]["series"]}


@pytest.mark.thorough
@pytest.mark.parametrize("policy", ["replace", "accumulate"])
def test_curves_agree_with_theory_at_every_size_with_one_compilation(policy):
    for rows, generations in ((50, 20), (400, 30)):
        found = look_at(Settings("gaussian", policy, rows, 0.0, generations))
        if policy == "replace":
            ends = last(found, 0)
            error = 5 * np.sqrt(generations / (2 * rows) / 2048)
            assert abs(ends["mean"] - ends["exact"]) < error
        ends = last(found, 2)  # the variance of the mean, whose relative error is sqrt(2 / chains)
        assert abs(ends["simulated"] / ends["exact"] - 1) < 5 * np.sqrt(2 / 2048)


@pytest.mark.thorough
def test_another_size_share_or_horizon_compiles_nothing(monkeypatch):
    import jax

    look_at(Settings("gaussian", "replace", 50, 0.1, 20))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    for rows, generations in ((51, 25), (700, 1), (20, 300)):
        look_at(Settings("gaussian", "replace", rows, 0.2, generations))
    assert compiled == []


@pytest.mark.thorough
def test_the_first_curves_come_from_a_few_chains_and_more_of_them_follow():
    asked = Curves(Settings("gaussian", "replace", 50, 0.0, 10))
    first, second = asked.look(), asked.look(2048)
    assert (first["chains"], first["more"]) == (2048, True)
    assert (second["chains"], second["more"]) == (8192, False)
    at_once = look_at(Settings("gaussian", "replace", 50, 0.0, 10), 2048)
    assert at_once["view"] == second["view"]  # the same chains, whatever came before
    assert first["view"] != second["view"]


def test_curves_that_nobody_wants_any_more_are_not_simulated():
    asked = Curves(Settings("gaussian", "replace", 50, 0.0, 10))
    assert asked.look(0, lambda: False) is None
    assert asked.chains == 0


def test_a_piece_divides_the_chains_of_a_page():
    assert all(65_536 % one.piece == 0 for one in FAMILIES.values())


def test_slow_expectations_are_left_out_and_quick_ones_stay():
    slow, quick = (
        curves.exact_of(Settings("discrete", "mixing", rows, 0.1, 100)) for rows in (5000, 50)
    )
    assert {"support_size", "heterozygosity", "tail_mass"} <= quick.keys()
    assert "support_size" not in slow
    assert {"heterozygosity", "tail_mass"} <= slow.keys()


def test_the_code_of_a_page_makes_the_chain_that_is_shown():
    for family in FAMILIES:
        for policy in ("replace", "mixing", "accumulate", "fresh"):
            settings = Settings(family, policy, 50, 0.2, 7)
            names: dict = {"cj": cj}
            line = settings.python.splitlines()[2]
            exec(line, names)
            assert type(names["chain"].policy) is type(settings.chain.policy)
            assert names["chain"].policy == settings.chain.policy
            assert np.allclose(names["chain"].policy.sizes(7), settings.chain.policy.sizes(7))


@pytest.mark.thorough
def test_two_hundred_random_moves_are_answered(explorer):
    random = np.random.default_rng(0)
    sizes, shares = [2, 3, 10, 70, 1000, 50_000, 1_000_000], [0.0, 0.001, 0.1, 0.5, 1.0]
    generations = [1, 2, 10, 50]
    for _ in range(200):
        moved = {
            "family": "gaussian",
            "policy": str(random.choice(["replace", "accumulate"])),
            "rows": int(random.choice(sizes)),
            "share": float(random.choice(shares)),
            "generations": int(random.choice(generations)),
        }
        status, text = ask(explorer, "curves", **moved)
        assert status == 200, (moved, text)
        found = json.loads(text)
        panels = found["view"]["panels"]
        assert len(panels) == 3
        assert len(panels[0]["series"][0]["y"]) == moved["generations"] + 1
        if moved["policy"] == "replace":
            assert f"cj.Replace({moved['rows']})" in found["python"]
            assert f"--policy.num-samples {moved['rows']}" in found["command"]


def test_other_hosts_tokens_and_pages_are_refused(explorer):
    assert ask(explorer)[0] == 200
    for host in ("example.org", f"example.org:{explorer.port}", "127.0.0.1", "127.0.0.1:1"):
        status, text = ask(explorer, host=host)
        assert (status, "<html" in text) == (403, False)
    assert explorer.answer(f"localhost:{explorer.port}", f"/{explorer.token}/")[0] == 200
    own = f"127.0.0.1:{explorer.port}"
    for target in ("/", "/curves", f"/{explorer.token[:-1]}/", f"/{explorer.token}x/curves"):
        assert explorer.answer(own, target)[0] == 403
    assert explorer.answer(own, f"/{explorer.token}/../secrets")[0] == 404
    assert len(explorer.token) >= 20


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("rows=0", "rows=0"),
        ("rows=1", "rows=1"),  # a Gaussian needs 2
        ("rows=1e9", "rows='1e9'"),
        ("rows=5&rows=6", "rows='5,6'"),
        ("share=2", "share=2"),
        ("share=nan", "share=nan"),
        ("generations=100000", "generations=100000"),
        ("family=llama", "family='llama'"),
        ("policy=none", "policy='none'"),
        ("seed=5", "name in the query='seed'"),
        ("chains=-1", "chains=-1"),
        ("family=gaussian&" * 100, "query=1,600 characters"),
    ],
)
def test_a_bad_query_gets_one_clear_line(query, words):
    with pytest.raises(ArgumentError) as error:
        asked_by(query)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_page_asks_for_nothing_but_curves():
    page = explorer_page()
    assert "CHOICES" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_taken_port_is_refused(explorer):
    with pytest.raises(ArgumentError, match=f"--port={explorer.port}"):
        Explorer(explorer.port)
