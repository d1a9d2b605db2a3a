"""Names of models: open_clip's own, folders, and the Hub's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import snapshot_download

from dpl_nas.backbone.beside import NAME, read_model
from dpl_nas.errors import BackboneError, join_lines, shorten
from dpl_nas.io.home import expand_home
from dpl_nas.io.reprs import short_repr
from dpl_nas.io.suggestions import closest

__all__ = ["Model", "find_model"]

_FOLDER, _HUB = "local-dir:", "hf-hub:"
#: Weights beside a description, the first that is there; none of them can run code.
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
#: What else of a repository is needed: the description, and tokenizers.
_NEEDED = (NAME, *_WEIGHTS, "*.json", "*.model", "*.txt")


@dataclass(frozen=True)
class Model:
    """A model of open_clip, as far as its name tells.

    Attributes
    ----------
    name
        Name for messages.
    config
        Its configuration in open_clip.
    folder
        Folder with its description, weights and tokenizer; ``None`` for open_clip's own models.
    """

    name: str
    config: Mapping[str, Any]
    folder: Path | None = None

    __repr__ = short_repr

    @property
    def weights(self) -> Path | None:
        """The weights in the folder, if there are any."""
        if self.folder is None:
            return None
        files = (self.folder / name for name in _WEIGHTS)
        return next((file for file in files if file.is_file()), None)

    @property
    def tokenizer(self) -> str:
        """The name by which open_clip makes its tokenizer."""
        return self.name if self.folder is None else f"{_FOLDER}{self.folder}"


def find_model(name: str) -> Model:
    """Return the model of a name.

    Parameters
    ----------
    name
        A name of open_clip such as ``ViT-B-16`` (OpenAI's ``ViT-B/16`` is the same);
        ``local-dir:FOLDER``; or ``hf-hub:OWNER/NAME``, also with ``@REVISION``, which is
        downloaded once.

    Raises
    ------
    BackboneError
        If it is unknown, or cannot be found or downloaded.
    CheckpointError
        If a description is damaged.
    """
    if name.startswith(_FOLDER):
        return _in_folder(name, _path(name.removeprefix(_FOLDER)))
    if name.startswith(_HUB):
        return _in_folder(name, _download(name))
    plain = name.replace("/", "-")
    # A colon would make open_clip look elsewhere.
    config = open_clip.get_model_config(plain) if ":" not in name else None
    if config is None:
        close = closest(plain, open_clip.list_models())
        raise BackboneError(
            f"{name} cannot be the backbone, since open_clip does not know it"
            f"{f' (did you mean {close}?)' if close else ''}: dpl-nas backbones lists those "
            "that can; local-dir:FOLDER and hf-hub:OWNER/NAME name others"
        )
    return Model(plain, config)


def _path(text: str) -> Path:
    try:
        return Path(expand_home(text))
    except ValueError as error:
        raise BackboneError(f"{_FOLDER}{shorten(text)}: {error}") from None


def _in_folder(name: str, folder: Path) -> Model:
    if not (folder / NAME).is_file():
        raise BackboneError(
            f"{shorten(name)} cannot be the backbone, since {folder} has no {NAME}: give a folder "
            "that open_clip's hub or its push_to_hf_hub wrote"
        )
    return Model(name, read_model(folder / NAME), folder)


def _download(name: str) -> Path:
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", name.removeprefix(_HUB))
    if found is None:
        raise BackboneError(
            f"expected {_HUB}OWNER/NAME, also with @REVISION, found {shorten(name)}"
        )
    try:
        return Path(snapshot_download(found[1], revision=found[2], allow_patterns=list(_NEEDED)))
    except Exception as error:
        # Each transport raises its own errors.
        raise BackboneError(
            f"{name} cannot be read from the Hub ({shorten(join_lines(str(error)))}): download it "
            f"on a machine with a network, and name its folder, {_FOLDER}FOLDER"
        ) from error
