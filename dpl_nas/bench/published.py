"""Figures of papers, which nobody measured here; a table shows them only when asked."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PUBLISHED", "Published"]


class Published(NamedTuple):
    """An average over CoOp's eleven datasets, ViT-B/16 at 16 shots; H for base-to-new."""

    percent: str
    source: str


_SVD = "README of HealthX-Lab/CLIP-SVD"
_GALLOP = "README of MarcLafon/gallop"
_AWESOME = "README of Awesome-Prompt-Adapter-Learning"

#: By method and protocol. Where two sources disagree, both stand.
PUBLISHED: dict[tuple[str, str], Published] = {
    ("zero-shot", "few-shot"): Published("65.36", _SVD),
    ("linear-probe", "few-shot"): Published("78.39", _SVD),
    ("tip-adapter-f", "few-shot"): Published("81.15", _SVD),
    ("coop", "few-shot"): Published("79.9 or 79.01", f"{_GALLOP}; {_SVD}"),
    ("cocoop", "few-shot"): Published("75.02", _SVD),
    ("maple", "few-shot"): Published("81.79", _SVD),
    ("promptsrc", "few-shot"): Published("82.9", _GALLOP),
    ("clip-lora", "few-shot"): Published("82.89", _SVD),
    ("ivlp", "base-to-new"): Published("77.51", _AWESOME),
    ("maple", "base-to-new"): Published("78.55", _AWESOME),
    ("promptsrc", "base-to-new"): Published("79.97", _AWESOME),
    ("clip-lora", "base-to-new"): Published("79.18", _AWESOME),
}
