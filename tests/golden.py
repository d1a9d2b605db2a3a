"""Compare dpl_nas with golden outputs and gradients: ``python tests/golden.py FILE...``.

A golden file holds a small CLIP, inputs, context vectors, and the outputs and gradients that
the published code gave on them, for the supernet (mixture of all lengths) and for one choice of
lengths (subnet). One JSON object a file is printed. Exit code: 0 if every group of every file
agrees, 1 if one does not, 2 if a file cannot be read or is not a golden file.
"""

# ruff: noqa: T201 - a script prints its result
from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import open_clip
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

# A script's own folder, not the repository, is on Python's path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dpl_nas.backbone import Backbone
from dpl_nas.errors import DplError
from dpl_nas.kernels import KernelPath
from dpl_nas.prompted import Context, ContextCandidates, PromptedCLIP
from dpl_nas.space import TOWERS, Tower

__all__ = ["LIMIT", "GoldenFileError", "compare", "main"]

#: Largest error accepted, relative to a group's largest value. The published code itself is up
#: to 6e-6 away from its results in float64.
LIMIT = 2e-5

#: Below it float32 has few digits or none (saturated alphas), so errors are taken as they are.
_SMALLEST = torch.finfo(torch.float32).tiny

Contexts = dict[Tower, dict[int, nn.Module]]


class GoldenFileError(Exception):
    """The file cannot be read or is not a golden file: one sentence."""


@dataclass(frozen=True)
class Golden:
    """The content of a golden file."""

    config: dict[str, Any]
    tensors: dict[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def names(self, prefix: str) -> Iterator[str]:
        return (name for name in self.tensors if name.startswith(prefix))


def read(path: Path) -> Golden:
    """The file's tensors and configuration."""
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GoldenFileError(f"{path} cannot be read: {reason}") from error
    try:
        config = json.loads(metadata["config"])
    except (KeyError, ValueError) as error:
        raise GoldenFileError(f"{path} is not a golden file: it has no configuration") from error
    return Golden(config, tensors)


def backbone(golden: Golden) -> Backbone:
    """The frozen CLIP of the file."""
    config = golden.config
    model = open_clip.CLIP(
        embed_dim=config["embed_dim"],
        vision_cfg=open_clip.CLIPVisionCfg(
            layers=config["vision_layers"],
            width=config["vision_width"],
            head_width=64,
            patch_size=config["patch_size"],
            image_size=config["image_size"],
        ),
        text_cfg=open_clip.CLIPTextCfg(
            context_length=config["context_length"],
            vocab_size=config["vocab_size"],
            width=config["text_width"],
            heads=config["text_width"] // 64,
            layers=config["text_layers"],
        ),
        quick_gelu=config["quick_gelu"],
    )
    model.load_state_dict(
        {name.removeprefix("clip."): golden[name] for name in golden.names("clip.")}
    )
    return Backbone.from_model(model, name="golden")


def supernet(golden: Golden) -> Contexts:
    """Every length at every layer, with the file's alphas and vectors."""
    contexts: Contexts = {"image": {}, "text": {}}
    for tower in TOWERS:
        for layer, alpha in enumerate(golden[f"supernet.alpha_{tower}"]):
            candidates = []
            for length in range(len(alpha)):
                vectors = golden.tensors.get(f"supernet.context.{tower}.{layer}.{length}")
                candidates.append(_context(length, vectors, golden.config, tower))
            module = ContextCandidates(candidates)
            module.alpha.data.copy_(alpha)
            contexts[tower][layer] = module
    return contexts


def subnet(golden: Golden) -> Contexts:
    """The file's choice of lengths."""
    contexts: Contexts = {"image": {}, "text": {}}
    for tower in TOWERS:
        for layer, length in enumerate(golden[f"subnet.lengths_{tower}"].tolist()):
            vectors = golden.tensors.get(f"subnet.context.{tower}.{layer}")
            contexts[tower][layer] = _context(length, vectors, golden.config, tower)
    return contexts


def _context(length: int, vectors: Tensor | None, config: dict[str, Any], tower: Tower) -> Context:
    context = Context(length, config[f"{'vision' if tower == 'image' else 'text'}_width"])
    if length:
        if vectors is None:
            raise KeyError(f"a context of length {length}")
        context.vectors.data.copy_(vectors)
    return context


def evaluate(
    golden: Golden,
    clip: Backbone,
    net: str,
    build: Callable[[Golden], Contexts],
    path: KernelPath,
) -> dict[str, float]:
    """The error of each group of outputs and gradients of one net."""
    model = PromptedCLIP(clip, build(golden), path)
    text_features = model.encode_text(clip.text_inputs_of(golden["tokens"]))
    image_features = model.encode_image(golden["images"])
    logits = model.logits(image_features, text_features)
    loss = functional.cross_entropy(logits, golden["labels"])
    gradients = _gradients(loss, dict(model.named_parameters()))

    errors = {
        name: error([found], [golden[f"{net}.{name}"]])
        for name, found in {
            "logits": logits,
            "loss": loss,
            "image_features": image_features,
            "text_features": text_features,
        }.items()
    }
    for tower in TOWERS:
        if net == "supernet":
            expected = golden[f"{net}.grad.alpha_{tower}"]
            found = [gradients[f"contexts.{tower}.{i}.alpha"] for i in range(len(expected))]
            errors[f"grad.alpha_{tower}"] = error(found, list(expected))
        prefix = f"{net}.context.{tower}."
        names = [name.removeprefix(prefix) for name in golden.names(prefix)]
        found = []
        for name in names:
            layer, _, length = name.partition(".")
            middle = f".candidates.{length}" if length else ""
            found.append(gradients[f"contexts.{tower}.{layer}{middle}.vectors"])
        errors[f"grad.context_{tower}"] = error(
            found, [golden[f"{net}.grad.context.{tower}.{name}"] for name in names]
        )
    return errors


def _gradients(loss: Tensor, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """By name; zeros where the loss does not depend on a parameter."""
    if not parameters:
        return {}
    values = torch.autograd.grad(
        loss, list(parameters.values()), allow_unused=True, materialize_grads=True
    )
    return dict(zip(parameters, values, strict=True))


def error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest difference over a group by its largest value, or alone if there are no digits in it.

    Not a number anywhere, or another shape, is an infinite error.
    """
    largest = difference = 0.0
    for a, b in zip(found, expected, strict=True):
        if a.shape != b.shape or not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
            return math.inf
        if b.numel():
            # float64, so that neither the difference nor the quotient of tiny values underflows.
            difference = max(difference, float((a.detach().double() - b.double()).abs().max()))
            largest = max(largest, float(b.double().abs().max()))
    return difference / largest if largest >= _SMALLEST else difference


def compare(path: Path, kernels: KernelPath = "fast") -> dict[str, Any]:
    """The errors of one file, by group.

    Raises
    ------
    GoldenFileError
        If the file cannot be read or is not a golden file.
    """
    golden = read(path)
    try:
        clip = backbone(golden)
        errors = {
            f"{net}.{group}": value
            for net, build in (("supernet", supernet), ("subnet", subnet))
            for group, value in evaluate(golden, clip, net, build, kernels).items()
        }
    except (
        AssertionError,
        AttributeError,
        DplError,
        IndexError,
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise GoldenFileError(
            f"{path} is not a golden file that fits its configuration: "
            f"{type(problem).__name__}: {reason}"
        ) from problem
    return {"file": str(path), "max_error": max(errors.values()), "errors": errors}


def main(arguments: Sequence[str]) -> int:
    """Compare each file; print one JSON object each."""
    parser = argparse.ArgumentParser(description="Compare golden files with dpl_nas.")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    parser.add_argument("--path", choices=get_args(KernelPath), default="fast")
    chosen = parser.parse_args(arguments)
    worst = 0.0
    for file in chosen.files:
        try:
            result = compare(file, chosen.path)
        except GoldenFileError as problem:
            print(problem, file=sys.stderr)
            return 2
        print(json.dumps(result), flush=True)
        worst = max(worst, result["max_error"])
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
