"""The page of a run: one file, with interactive figures, readable in both modes."""

import json
import re
from html.parser import HTMLParser

import pytest

from collapse_jax.report.page import asset


class Reader(HTMLParser):
    """Collects what accessible pages need."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.images, self.scripts, self.open = [], [], [], [], []
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.targets += [attributes["for"]] if "for" in attributes else []
        if tag == "img":
            self.images.append(attributes)
        self.addresses += [attributes[key] for key in ("src", "href") if key in attributes]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def test_a_page_is_one_file_with_views_pictures_and_alternative_texts(report):
    text = report.read_text()
    page = Reader(text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)
    assert [image["alt"] for image in page.images] == [
        "Spread falls by half in 7 generations.",
        "A target can be set.",
        "Words can be searched.",
    ]
    assert all(one.startswith(("data:", "#", "figures/")) for one in page.addresses)
    curves, shares = (json.loads(one) for one in page.scripts[:2])
    assert curves["panels"][0]["title"] == "σ̂"
    assert curves["panels"][0]["bands"][0]["low"][0] == 1.0
    assert shares["target"] == 0.5
    assert shares["variables"][0]["values"][2][1][3] == 1.0
    assert len(text) < 3_000_000
    assert "http:" not in re.sub(r"http://www\.w3\.org/2000/svg", "", text)
    assert "https:" not in text
    assert "</script><b>" not in text


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    parts = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["light", "dark", "print"])
def test_every_colour_of_text_has_contrast(mode):
    modes = re.findall(r":root \{(.*?)\}", asset("page.css"), re.S)
    assert len(modes) == 3
    colours = dict(re.findall(r"--(\w+): (#\w{6})", modes[mode]))
    for ink in ("ink", "faint", "link", "mark"):
        for ground in ("paper", "shade"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def test_texts_have_no_colour_but_those_of_the_modes():
    assert set(re.findall(r"(?<![-\w])color: ([^;]+);", asset("page.css"))) <= {
        "var(--ink)",
        "var(--faint)",
        "var(--link)",
    }
    assert "opacity" not in asset("page.css")
