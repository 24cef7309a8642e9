"""Pages in headless Chromium, where it and playwright are installed: `make browser`."""

import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from collapse_jax.explorer import Explorer
from collapse_jax.plots.views import panels_view

playwright = pytest.importorskip("playwright.sync_api", reason="`make browser` installs it")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("AXE_CORE", "")  # path of axe.min.js of the npm package axe-core
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def chromium():
    """Run a browser."""
    with playwright.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def visit(chromium):
    """Open an address; console messages, errors and requests other than the page are refused."""
    contexts, problems = [], []

    def visiting(address, width=1100, mode="light"):
        size = {"width": width, "height": 900}
        context = chromium.new_context(viewport=size, color_scheme=mode)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(f"request of {request.url}"))
        page.goto(address)
        return page

    yield visiting
    for context in contexts:
        context.close()
    assert not problems


CONTRASTS = """() => {
  const channel = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce(
    (sum, weight, k) => sum + weight * channel(rgb[k] / 255), 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const rgb = parse(getComputedStyle(node).backgroundColor);
      if (rgb.length < 4 || rgb[3] > 0) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const isText = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!isText || !node.getClientRects().length || /SCRIPT|STYLE/.test(node.tagName)) continue;
    if (node.tagName === "text" && node.style.fill) continue; // on a coloured cell
    const style = getComputedStyle(node);
    const ink = parse(node.tagName === "text" ? style.fill : style.color);
    const [low, high] = [light(ink), light(ground(node))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`${node.tagName} ${node.className} ${ratio} ${node.textContent}`);
  }
  return found;
}"""
OVERFLOW = """() => {
  const found = [];
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > most) found.push("the page");
  for (const node of document.querySelectorAll(".wide, pre")) {
    const isCut = node.scrollWidth > node.clientWidth + 1;
    if (isCut !== node.classList.contains("is-cut")) found.push(node.className + node.textContent);
    if (isCut && node.tabIndex < 0) found.push("no focus: " + node.className);
  }
  return found;
}"""


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1100])
def test_a_report_fits_and_can_be_read(visit, report, mode, width):
    page = visit(report.as_uri(), width, mode)
    page.wait_for_selector(".view svg")
    assert page.evaluate(CONTRASTS) == []
    page.wait_for_timeout(100)  # milliseconds, for the observers of sizes
    assert page.evaluate(OVERFLOW) == []
    assert page.title() == "A run: It collapses."
    if AXE:
        page.evaluate(Path(AXE).read_text())
        found = page.evaluate("async () => (await axe.run()).violations")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in serious] == []


def test_too_little_contrast_would_be_found(visit, report):
    page = visit(report.as_uri())
    page.evaluate("document.querySelector('figcaption').style.color = '#999'")
    assert any(one.startswith("FIGCAPTION") for one in page.evaluate(CONTRASTS))


def test_the_slider_and_the_target_change_the_heat_map(visit, report):
    page = visit(report.as_uri())
    view = page.locator(".view").nth(1)
    page.get_by_label("generation", exact=True).press("Home")
    assert "generation 0" in view.locator("h4").inner_text()
    assert "0 of 8 cells" in view.inner_text()
    page.get_by_label("target, in %").fill("10")
    assert "5 of 8 cells have at least 10 % in generation 0" in view.inner_text()
    page.get_by_label("mark cells").select_option("at most")
    assert "3 of 8 cells have at most 10 %" in view.inner_text()


def test_words_are_found_and_read_by_pointer_and_keys(visit, report):
    page = visit(report.as_uri())
    view = page.locator(".view").nth(2)
    page.get_by_label("search a word").fill("gif")
    assert "1 of 300 words contain" in view.inner_text()
    picture = view.locator("svg[role=img]")
    picture.focus()
    picture.press("ArrowRight")
    picture.press("End")
    assert re.search(r"“gift”, rank [\d,]+, generation 25: alive in", view.inner_text())
    page.get_by_label("search a word").fill("nothing like it")
    assert "No word contains" in view.inner_text()


def test_curves_are_read_by_pointer_and_keys(visit, report):
    page = visit(report.as_uri())
    view = page.locator(".view").first
    picture = view.locator("svg[role=img]")
    picture.focus()
    picture.press("Home")
    assert "generation 0. M = 100: 1 (1 to 1); exact: 1" in view.inner_text()
    box = picture.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 50)
    assert "generation 20. M = 100: 0.1353 (0.1084 to 0.1623)" in view.inner_text()


def test_paper_shows_the_pictures(visit, report):
    page = visit(report.as_uri())
    assert not page.locator(".picture").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator(".picture").first.is_visible()
    assert not page.locator(".view").first.is_visible()


@pytest.fixture
def explorer(monkeypatch):
    """Serve an explorer whose curves are made up at once; and the settings that were asked for."""
    asked = []

    def made_up(curves, chains, is_wanted):
        settings = curves.settings
        asked.append(settings)
        x = np.arange(settings.generations + 1)
        lines = [("mean", x / settings.rows, "line"), ("exact", x / settings.rows, "dashed")]
        band = ("5 to 95 % of chains", lines[0][1] - 1, lines[0][1] + 1)
        panel = {"title": "a curve", "x": x, "lines": lines, "band": band, "color": "#0072B2"}
        return {
            "view": panels_view([panel]),
            "chains": 9 * 4 ** (chains > 0),
            "more": chains == 0,
            "seconds": 0.1,
            "original": settings.num_original,
            "python": settings.python,
            "command": settings.command,
        }

    monkeypatch.setattr("collapse_jax.explorer.server.Curves.look", made_up)
    one = Explorer()
    thread = threading.Thread(target=one.serve)
    thread.start()
    yield one, asked
    one.close()
    thread.join()


def shows(page, place, words):
    """Wait until a part of the page has a text."""
    playwright.expect(page.locator(place)).to_contain_text(words)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_sliders_of_the_explorer_change_curves_and_code(visit, explorer, mode):
    server, asked = explorer
    page = visit(server.url, 400, mode)
    page.wait_for_selector("#curves svg")
    assert page.evaluate(CONTRASTS) == []
    page.wait_for_timeout(100)
    assert page.evaluate(OVERFLOW) == []
    assert "cj.Replace(100)" in page.locator("#python").inner_text()
    page.get_by_label("rows M").press("ArrowRight")
    shows(page, "#python", "(150)")
    assert asked[-1].rows == 150
    shows(page, "#said", "36 chains over 100 generations in 0.1 s")  # after a look at 9 of them
    assert page.get_by_label("share of originals").is_disabled()
    page.get_by_label("policy").select_option("mixing")
    shows(page, "#python", "Mixing")
    assert page.get_by_label("share of originals").is_enabled()
    page.get_by_label("family").select_option("poisson")
    shows(page, "#command", "no experiment")
    page.get_by_label("generations", exact=True).press("Home")
    shows(page, "#said", "over 1 gen")


def test_the_explorer_shows_only_the_newest_of_many_moves(visit, explorer):
    server, asked = explorer
    page = visit(server.url)
    page.wait_for_selector("#curves svg")
    page.get_by_label("rows M").press("Home")
    for _ in range(20):
        page.get_by_label("rows M").press("ArrowRight")
    shows(page, "#said", "M = 3,000")
    assert asked[-1].rows == 3000
    assert len(asked) < 40  # two looks of each move that was shown
