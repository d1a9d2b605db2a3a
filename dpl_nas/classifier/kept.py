"""Evidence of candidates on disk, so that a fit that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from dpl_nas.classifier.candidates import Candidate
from dpl_nas.classifier.evidence import Evidence
from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import write_bytes

__all__ = ["load_evidence", "save_evidence"]

_HEADER = "dpl_nas"


def save_evidence(file: Path, found: Sequence[Evidence], identity: str) -> None:
    """Write the evidence of candidates that were made together, atomically.

    Parameters
    ----------
    identity
        What it is of: data and settings, in any form.
    """
    from safetensors.torch import save

    header = {
        "identity": identity,
        "names": [each.candidate.name for each in found],
        "seconds": [each.seconds for each in found],
        "balanced": found[0].balanced,
    }
    tensors = {
        "logits": torch.stack([each.logits for each in found]).contiguous(),
        "labels": found[0].labels,
    }
    write_bytes(file, save(tensors, metadata={_HEADER: json.dumps(header)}))


def load_evidence(file: Path, candidates: Sequence[Candidate], identity: str) -> list[Evidence]:
    """Read the evidence of these candidates.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of other candidates, data or settings.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stream:
            header = json.loads((stream.metadata() or {})[_HEADER])
            logits, labels = stream.get_tensor("logits"), stream.get_tensor("labels")
        names, seconds, saved = header["names"], header["seconds"], header["identity"]
        balanced = bool(header["balanced"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged: remove it to compare again") from error
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
