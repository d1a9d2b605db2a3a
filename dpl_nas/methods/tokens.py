"""Models with learned tokens, and the captions that leave room for them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.errors import ConfigError, DplWarning
from dpl_nas.kernels import KernelPath
from dpl_nas.methods.depths import LayerLengths
from dpl_nas.prompted import AdaptedCLIP, Entry, LayerTokens
from dpl_nas.seeds import derive_seed
from dpl_nas.space import TOWERS, Tower
from dpl_nas.tasks import Task
from dpl_nas.tasks.names import tell_names
from dpl_nas.training.model import class_captions

__all__ = [
    "CoupledTokenCLIP",
    "TokenCLIP",
    "after_start",
    "coupling_maps",
    "drawn_linear",
    "token_captions",
]

#: Standard deviation of vectors that are drawn, as in the code of CoOp and of what followed it.
_DEVIATION = 0.02


class TokenCLIP(AdaptedCLIP):
    """A frozen CLIP with learned tokens: the parameters ``tokens.TOWER.LAYER`` (length, width).

    Parameters
    ----------
    lengths
        Numbers of tokens by tower and layer. A layer without any goes on with those before it.
    seed
        Seed of the tokens that are drawn, from a normal distribution of deviation 0.02.
    words
        Words whose embeddings the text tower's first tokens start as, as far as they go.

    Raises
    ------
    ConfigError
        If the text tower has no room for the tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        lengths: LayerLengths,
        seed: int,
        words: str = "",
        path: KernelPath = "fast",
    ) -> None:
        super().__init__(backbone, path)
        _check_room(backbone, lengths)
        self.tokens = nn.ModuleDict()
        for tower in TOWERS:
            own = lengths.get(tower, {})
            if not own:
                continue
            generator = torch.Generator().manual_seed(derive_seed(seed, "tokens", tower))
            drawn = {
                str(layer): nn.Parameter(_drawn(length, backbone.widths[tower], generator))
                for layer, length in sorted(own.items())
            }
            self.tokens[tower] = nn.ParameterDict(drawn)
        if words and 0 in lengths.get("text", {}):
            self._start_as(words)

    @torch.no_grad()
    def _start_as(self, words: str) -> None:
        first = self.own("text")[0]
        known = self.backbone.tokenize([words])[0]
        ids = known[1 : min(int(known.argmax()), 1 + len(first))]
        first[: len(ids)] = self.backbone.text.token_table[ids.to(self.backbone.device)].to(first)

    def own(self, tower: Tower) -> dict[int, Tensor]:
        """Return the parameters of a tower by layer."""
        if tower not in self.tokens:
            return {}
        parameters = dict(self.tokens[tower].named_parameters())
        return {int(layer): parameters[layer] for layer in parameters}

    def vectors(self, tower: Tower) -> Mapping[int, Tensor]:
        """Return the tokens of a tower by layer, before what precedes the first layer."""
        return self.own(tower)

    def first_layer(self, tower: Tower) -> int:
        """Return the first layer with tokens of its own, or the number of layers."""
        return min(self.own(tower), default=self.backbone.layers[tower])

    def entries(self, tower: Tower) -> Mapping[int, Entry]:
        """Return the tokens as they enter the layers."""
        return _entries(self.backbone, tower, self.vectors(tower))


class CoupledTokenCLIP(TokenCLIP):
    """Tokens of the image tower that are linear maps of the text tower's (MaPLe).

    The parameters are ``tokens.text.LAYER``, and ``maps.LAYER`` with ``weight`` and ``bias``.

    Parameters
    ----------
    lengths
        Number of tokens by layer, the same in both towers.
    """

    def __init__(
        self,
        backbone: Backbone,
        lengths: Mapping[int, int],
        seed: int,
        words: str = "",
        path: KernelPath = "fast",
    ) -> None:
        super().__init__(backbone, {"text": dict(lengths)}, seed, words, path)
        self.maps = coupling_maps(backbone, lengths, seed)

    def first_layer(self, tower: Tower) -> int:
        """Return the first layer with tokens, or the number of layers."""
        return min(self.own("text"), default=self.backbone.layers[tower])

    def vectors(self, tower: Tower) -> Mapping[int, Tensor]:
        """Return the tokens of a tower by layer, before what precedes the first layer."""
        own = self.own("text")
        if tower == "text":
            return own
        return {layer: self.maps[str(layer)](each) for layer, each in own.items()}


def coupling_maps(backbone: Backbone, layers: Iterable[int], seed: int) -> nn.ModuleDict:
    """Return a linear map from the text tower's width to the image tower's for each layer."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "maps"))
    text, image = backbone.widths["text"], backbone.widths["image"]
    return nn.ModuleDict(
        {str(layer): drawn_linear(text, image, generator) for layer in sorted(layers)}
    )


def drawn_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer drawn as torch draws it, uniform within 1 / sqrt(inputs)."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer


def after_start(backbone: Backbone, vectors: Tensor) -> LayerTokens:
    """Return tokens (..., length, width) of the text tower's first layer, with their positions.

    They stand after the first token.
    """
    return LayerTokens(vectors + backbone.text.positions[1 : 1 + vectors.shape[-2]])


def token_captions(backbone: Backbone, task: Task, length: int) -> TextInputs:
    """Return captions ``NAME.`` with ``length`` placeholders before the name, as CoOp has them.

    Without placeholders they are those of the task's template.
    """
    if not length:
        return class_captions(backbone, task.class_names, task.template, (), "task")
    plain = backbone.tokenize([f"{name}." for name in task.class_names])
    room = plain.shape[1]
    ends = plain.argmax(dim=1)
    placeholders = plain.new_zeros(len(plain), length)
    tokens = torch.cat([plain[:, :1], placeholders, plain[:, 1:]], dim=1)[:, :room].contiguous()
    cut = (ends + length >= room).nonzero().flatten().tolist()
    if cut:
        # The end of the text is read, so it stays.
        tokens[cut, -1] = plain[cut, ends[cut]]
        warnings.warn(
            f"{task.name}: {backbone.name} has no room for {length} tokens before the whole names "
            f"of {len(cut)} classes, so their ends are cut off: "
            f"{tell_names([task.class_names[each] for each in cut])}; use fewer tokens or shorter "
            "names",
            DplWarning,
            stacklevel=2,
        )
    return backbone.text_inputs_of(tokens).to(backbone.device)


def _entries(
    backbone: Backbone, tower: Tower, vectors: Mapping[int, Tensor]
) -> dict[int, LayerTokens]:
    found = {}
    for layer, each in vectors.items():
        if layer == 0 and tower == "image":
            found[layer] = LayerTokens(backbone.image.enter(each))
        elif layer == 0:
            found[layer] = after_start(backbone, each)
        else:
            found[layer] = LayerTokens(each)
    return found


def _drawn(length: int, width: int, generator: torch.Generator) -> Tensor:
    return torch.empty(length, width).normal_(0.0, _DEVIATION, generator=generator)


def _check_room(backbone: Backbone, lengths: LayerLengths) -> None:
    # The first token, the end of the text, and one of a name.
    room = len(backbone.text.positions) - 3
    longest = lengths.get("text", {}).get(0, 0)
    if longest > room:
        raise ConfigError(
            f"{backbone.name} has room for {room} learned tokens before a class name, found "
            f"{longest}: use fewer"
        )
