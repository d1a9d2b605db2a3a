"""What the methods with learned tokens have in common."""

from __future__ import annotations

from pydantic import Field

from dpl_nas.backbone import Backbone, TextInputs
from dpl_nas.methods.depths import LayerLengths, lengths_at
from dpl_nas.methods.layered import LayeredMethod
from dpl_nas.methods.tokens import TokenCLIP, token_captions
from dpl_nas.prompted import AdaptedCLIP
from dpl_nas.tasks import Task

__all__ = ["TokenMethod"]


class TokenMethod(LayeredMethod):
    """A method with learned tokens at the first layers of a tower or both.

    Attributes
    ----------
    length
        Tokens at a layer.
    depth
        Layers that have tokens of their own, from the first.
    words
        Words that the first layer's tokens of the text tower start as, as far as they go.
    """

    length: int = Field(default=4, ge=1)
    depth: int = Field(default=9, ge=1)
    words: str = ""

    def lengths_in(self, backbone: Backbone) -> LayerLengths:
        """Return the number of tokens by tower and layer."""
        uniform = dict.fromkeys(self.towers, (self.length, self.depth))
        return lengths_at(backbone, self.lengths, uniform)

    def model(self, backbone: Backbone, seed: int) -> AdaptedCLIP:
        """Return the model, with tokens that are drawn or start as words."""
        return TokenCLIP(backbone, self.lengths_in(backbone), seed, self.words)

    def captions(self, backbone: Backbone, task: Task) -> TextInputs:
        """Return captions with room for the tokens of the first layer."""
        first = self.lengths_in(backbone).get("text", {}).get(0, 0)
        return token_captions(backbone, task, first)
