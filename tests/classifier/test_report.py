"""The report: its numbers, and a page that is whole without scripts and network."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dpl_nas.backbone_config import BackboneConfig
from dpl_nas.classifier.held import Held
from dpl_nas.classifier.report import facts_of, report_page
from dpl_nas.classifier.saved import ClassifierMetadata, Leader
from dpl_nas.errors import CheckpointError

LABELS = ("a<b>", "second class with a long name", "c")


def metadata() -> ClassifierMetadata:
    return ClassifierMetadata(
        labels=LABELS,
        class_names=("a", "second", "c"),
        template="a {}.",
        background="white",
        backbone=BackboneConfig(),
        fingerprint="0" * 16,
        chosen="linear probe, 0.01",
        lengths={},
        temperature=2.0,
        confidences=(0.5, 0.9),
        shots=4,
        images=9,
        seed=1,
        leaderboard=(
            Leader(name="linear probe, 0.01", accuracy=0.5, loss=1.0, vectors=0, seconds=0.5),
        ),
    )


def held() -> Held:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    logits = torch.full((9, 3), 0.0)
    # Right but for rows 2, 5 and 8, of which 5 is the surest mistake.
    for row, (answer, height) in enumerate(
        [(0, 4), (0, 3), (1, 1), (1, 5), (1, 2), (0, 9), (2, 3), (2, 4), (0, 2)]
    ):
        logits[row, answer] = height
    thumbnails = {row: Image.new("RGB", (72, 72), "red") for row in (2, 5, 8)}
    return Held(logits, labels, 2.0, tuple(f"folder/<{row}>.png" for row in range(9)), thumbnails)


class Page(HTMLParser):
    """What is on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_numbers() -> None:
    facts = facts_of(metadata(), held())
    assert facts.accuracy == pytest.approx(6 / 9)
    assert facts.confusion == ((2, 1, 0), (1, 2, 0), (1, 0, 2))
    first = facts.classes[0]
    assert (first.label, first.support) == ("a<b>", 3)
    assert (first.precision, first.recall) == (pytest.approx(0.5), pytest.approx(2 / 3))
    assert facts.classes[2].precision == 1.0
    assert 0 <= facts.error <= 1
    assert sum(each.count for each in facts.curve) == 9
    plain = facts.as_dict()
    assert plain["confusion"][2] == [1, 0, 2]
    assert plain["classes"][0]["label"] == "a<b>"


def test_mistakes_and_doubtful_labels() -> None:
    found = held()
    assert found.mistakes == [5, 8, 2]
    assert found.doubtful[0] == 5
    assert set(found.doubtful) <= {2, 5, 8}


def test_the_temperature_mends_what_is_too_sure() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(600, 3, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    facts = facts_of(metadata(), Held(6 * logits, labels, 6.0, ("x",) * 600, {}))
    assert facts.error < facts.error_before / 3


def test_the_page_is_whole() -> None:
    text = report_page(metadata(), held(), "On 5 pictures <b>.")
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "iframe", "link", "object", "form"} & set(tags)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3 + sum(row in held().thumbnails for row in held().doubtful)
    for each in images:
        assert (each["src"] or "").startswith("data:image/png;base64,")
        assert "labelled" in (each["alt"] or "")
    # The only addresses are data, and names are escaped.
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)
    assert "://" not in text
    assert "a&lt;b&gt;" in text
    assert "folder/&lt;5&gt;.png" in text
    assert "On 5 pictures &lt;b&gt;." in text
    (curve,) = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert "Reliability curve" in (curve["aria-label"] or "")


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    held().save(tmp_path)
    again = Held.load(tmp_path)
    assert again.places == held().places
    assert again.mistakes == held().mistakes
    assert report_page(metadata(), again) == report_page(metadata(), held())
    file = tmp_path / "evidence.safetensors"
    whole = file.read_bytes()
    for place in (20, len(whole) // 2, len(whole) - 1):
        content = bytearray(whole)
        content[place] ^= 1
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"evidence.safetensors is damaged: fit again"):
            Held.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"there is no evidence.safetensors in"):
        Held.load(tmp_path / "none")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": torch.arange(9) + 90},
        {"labels": torch.arange(9) - 5},
        {"labels": torch.zeros(9)},
        {"logits": torch.full((9, 3), float("nan"))},
        {"logits": torch.zeros(8, 3)},
        {"logits": torch.zeros(0, 3), "labels": torch.zeros(0, dtype=torch.int64), "places": ()},
        {"temperature": 0.0},
        {"thumbnails": {99: Image.new("RGB", (72, 72))}},
        {"thumbnails": {0: Image.new("RGB", (7, 7))}},
        {"thumbnails": {0: Image.new("L", (72, 72))}},
    ],
)
def test_what_no_fit_has_kept_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    replace(held(), **changes).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"evidence.safetensors is damaged: fit again"):
        Held.load(tmp_path)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overflows_in_a_browser(tmp_path: Path, width: int) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    page = tmp_path / "page.html"
    probe = (
        "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth;"
        "document.body.setAttribute('data-wide', document.title)</script></body>"
    )
    # The page allows no scripts, so the probe's copy does without that rule.
    text = report_page(metadata(), held()).replace("default-src 'none'; ", "")
    page.write_text(text.replace("</body>", probe))
    ran = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--window-size={width},900",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'data-wide="(\d+) (\d+)"', ran.stdout)
    assert found, ran.stderr
    assert int(found[1]) <= int(found[2])
