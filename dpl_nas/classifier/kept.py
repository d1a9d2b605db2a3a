"""Evidence of candidates on disk, so that a fit that was killed goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from dpl_nas.classifier.candidates import Candidate
from dpl_nas.classifier.evidence import Evidence
from dpl_nas.errors import CheckpointError
from dpl_nas.io.sealed_tensors import load_sealed, save_sealed

__all__ = ["load_evidence", "save_evidence"]

_REMEDY = "remove it to compare again"


def save_evidence(file: Path, found: Sequence[Evidence], identity: str) -> None:
    """Write the evidence of candidates that were made together, atomically.

    Parameters
    ----------
    identity
        What it is of: data and settings, in any form.
    """
    header = {
        "identity": identity,
        "names": [each.candidate.name for each in found],
        "seconds": [each.seconds for each in found],
        "balanced": found[0].balanced,
    }
    tensors = {
        "logits": torch.stack([each.logits for each in found]),
        "labels": found[0].labels,
    }
    save_sealed(file, tensors, header)


def load_evidence(file: Path, candidates: Sequence[Candidate], identity: str) -> list[Evidence]:
    """Read the evidence of these candidates.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of other candidates, data or settings.
    """
    tensors, header = load_sealed(file, ("logits", "labels"), _REMEDY)
    logits, labels = tensors["logits"], tensors["labels"]
    try:
        names, seconds, saved = header["names"], header["seconds"], header["identity"]
        balanced = bool(header["balanced"])
    except KeyError as error:
        raise CheckpointError(f"{file} is damaged: {_REMEDY}") from error
    if saved != identity:
        raise CheckpointError(
            f"{file} is of other pictures or settings: use another folder, or remove it"
        )
    if names != [each.name for each in candidates] or logits.shape[:2] != (
        len(candidates),
        len(labels),
    ):
        raise CheckpointError(f"{file} is of other candidates: remove it to compare again")
    return [
        Evidence(candidate, part, labels, float(taken), balanced)
        for candidate, part, taken in zip(candidates, logits, seconds, strict=True)
    ]
