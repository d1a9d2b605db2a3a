"""A CLIP that is never trained, and the properties that the rest of the package needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from open_clip import CLIP, CoCa, CustomTextCLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL.Image import new as new_image
from torch import Tensor, nn

from dpl_nas.backbone.decoders import Decoder
from dpl_nas.backbone.encoders import OpenClip
from dpl_nas.backbone.language import LanguageModel, is_language_model
from dpl_nas.backbone.language_models import Reader
from dpl_nas.backbone.plain_towers import class_rows
from dpl_nas.backbone.text import TextInputs
from dpl_nas.backbone.towers import DualEncoder
from dpl_nas.backbone.vision import VisionOnly
from dpl_nas.errors import BackboneError
from dpl_nas.io.reprs import in_a_line
from dpl_nas.space import Precision, Tower

__all__ = ["Backbone", "Tokenize"]

#: One number per channel.
RGB = tuple[float, float, float]
#: From an image to pixels; of a language model, from a prompt to tokens.
Preprocess = Callable[[Any], Tensor]
Tokenize = Callable[[list[str]], Tensor]


class Backbone:
    """A frozen CLIP, or a frozen model of images alone, in evaluation mode.

    It is not a module, so a module that holds one neither lists nor saves its weights.
    A deep copy is the same backbone.

    Parameters
    ----------
    encoder
        Both towers; :meth:`from_model` builds it from a model of open_clip.

    Attributes
    ----------
    model
        The module that holds all weights; no parameter requires a gradient.
    image, text
        The towers.
    name
        Name of the model, for messages.
    precision
        Numeric precision of the weights and activations.
    preprocess
        The test-time transform of an image: ``(3, image_size, image_size)``; of a language model,
        from a prompt to tokens (length,).
    image_size
        Height and width in pixels.
    mean, std
        Values that normalise the channels of an image.
    layers, widths
        Number of layers and width of each tower.
    classes_by
        What stands for classes: ``captions``; for a model of images alone, ``means`` of their
        images' features; for a language model, ``words``. The latter two are given by
        :meth:`class_inputs`.
    plain
        Why a tower has no layers that can be searched, if one has none.
    seen
        The tokens of all captions that the model was trained on, if they are known.
    """

    def __init__(
        self,
        encoder: DualEncoder,
        *,
        name: str,
        precision: Precision,
        preprocess: Preprocess,
        tokenize: Tokenize | None,
        mean: RGB,
        std: RGB,
        seen: frozenset[int] | None = None,
    ) -> None:
        height, width = encoder.image.image_size
        if height != width:
            raise BackboneError(
                f"expected a model of square images, found {name} with {height} x {width}"
            )
        self._encoder = encoder
        self.model = _frozen(encoder.module, precision)
        self.image = encoder.image
        self.text = encoder.text
        self.name = name
        self.precision = precision
        self.preprocess = preprocess
        self.image_size = height
        self.mean = mean
        self.std = std
        self.layers: dict[Tower, int] = {
            "image": len(self.image.blocks),
            "text": len(self.text.blocks),
        }
        self.widths: dict[Tower, int] = {"image": self.image.width, "text": self.text.width}
        self.classes_by = encoder.classes_by
        self.plain: Mapping[Tower, str] = encoder.plain
        self.seen = seen
        self._tokenize = tokenize
        self._fingerprint: str | None = None

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        *,
        name: str = "custom",
        precision: Precision = "fp32",
        transform: PreprocessCfg | None = None,
        preprocess: Preprocess | None = None,
        tokenize: Tokenize | None = None,
        seen: frozenset[int] | None = None,
    ) -> Backbone:
        """Make a backbone from a model in memory, which is frozen in place.

        Parameters
        ----------
        model
            A model of open_clip: a CLIP, also with towers of timm, or a CoCa. Or a model of images
            alone: a vision transformer of timm, or the image tower of such a CLIP. Or a language
            model: a decoder of transformers with its output layer.
        name
            Name of the model, for messages.
        precision
            Precision to convert the model to; ``fp32`` leaves the weights as they are.
        transform
            Preprocessing of images in open_clip; by default that of OpenAI's CLIP.
        preprocess
            Transform that replaces open_clip's own; ``mean`` and ``std`` are then measured on
            a black and a white image.
        tokenize
            Function from captions to ``(n, context_length)`` tokens; without it, captions are
            refused.
        seen
            The tokens of all captions that the model was trained on, if they are known.

        Raises
        ------
        BackboneError
            If the model is no such model, or no tower can carry context vectors.
        """
        encoder: DualEncoder
        if isinstance(model, (CLIP, CustomTextCLIP, CoCa)):
            encoder = OpenClip(model, name)
        elif is_language_model(model):
            encoder = LanguageModel(model, name)
        else:
            encoder = VisionOnly(model, name)
        chosen = transform or PreprocessCfg()
        if encoder.classes_by == "words":
            # There are no pixels.
            preprocess, mean, std = preprocess or _no_reader, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        elif preprocess is None:
            settings = {**vars(chosen), "size": encoder.image.image_size}
            preprocess = image_transform_v2(PreprocessCfg(**settings), is_train=False)
            mean, std = _three(chosen.mean), _three(chosen.std)
        else:
            mean, std = _normalisation(preprocess)
        return cls(
            encoder,
            name=name,
            precision=precision,
            preprocess=preprocess,
            tokenize=tokenize,
            mean=mean,
            std=std,
            seen=seen,
        )

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor on cosine similarities."""
        return self._encoder.logit_scale

    @property
    def logit_bias(self) -> Tensor | None:
        """What sigmoid models add to all logits; ``None`` if there is nothing."""
        return self._encoder.logit_bias

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.logit_scale.device

    def to(self, device: str | torch.device) -> Backbone:
        """Move the weights, also for all other users of this backbone; return the backbone."""
        if torch.device(device) != self.device:
            self.model.to(device)
        return self

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of all weights: their names, types, shapes and bytes."""
        if self._fingerprint is None:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.model.state_dict().items()):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy())
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def tokenize(self, captions: Sequence[str]) -> Tensor:
        """Return tokens ``(captions, context_length)``, int64, on the CPU; long captions are cut.

        Raises
        ------
        BackboneError
            If the model was given without a tokenizer, or has no text tower.
        """
        if self.classes_by != "captions":
            raise BackboneError(
                f"captions cannot stand for classes, since {self.name} has no text tower: use "
                "context vectors alone, linear-probe or class-means, or another backbone"
            )
        if self._tokenize is None:
            raise BackboneError(f"{self.name} has no tokenizer: give token ids instead of captions")
        return self._tokenize(list(captions)).long()

    def text_inputs(self, captions: Sequence[str]) -> TextInputs:
        """Return text inputs of one caption per class, cut after the last end of text."""
        return self.text_inputs_of(self.tokenize(captions))

    def text_inputs_of(self, tokens: Tensor) -> TextInputs:
        """Return the text inputs of tokens ``(classes, context_length)``."""
        return self._mean_inputs([tokens])

    def word_features(self, words: Sequence[str]) -> Tensor:
        """Return what the output layer of a language model has for words ``(words, width)``.

        It is that of the first token of each, as it follows another word.

        Raises
        ------
        BackboneError
            If it is no language model, or was given without a tokenizer.
        """
        if not (isinstance(self.text, Decoder) and isinstance(self.preprocess, Reader)):
            raise BackboneError(
                f"{self.name} cannot tell words: it is no language model, or has no tokenizer"
            )
        return self.text.rows(torch.tensor(self.preprocess.words(words), device=self.device))

    def class_inputs(self, features: Tensor) -> TextInputs:
        """Return class features (classes, embed) as what stands for classes.

        Raises
        ------
        BackboneError
            If captions stand for them.
        """
        if self.classes_by == "captions":
            raise BackboneError(f"{self.name} has a text tower: give captions")
        return class_rows(features.to(self.device))

    def mean_text_inputs(self, templates: Sequence[str], class_names: Sequence[str]) -> TextInputs:
        """Return, for each class, the mean token embeddings of its captions over all templates.

        The captions are averaged position by position, including padding. They end at
        different positions, so the class's feature is the mean over templates of the final
        hidden token at that template's own end of text.

        Parameters
        ----------
        templates
            Caption templates, each with ``{}`` for the class name.
        class_names
            One name per class.
        """
        return self._mean_inputs(
            [
                self.tokenize([template.replace("{}", name) for name in class_names])
                for template in templates
            ]
        )

    def _mean_inputs(self, tokens: Sequence[Tensor]) -> TextInputs:
        return self.text.embed([batch.to(self.device) for batch in tokens])

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Return the backbone itself: it never changes, so one copy is enough."""
        return self

    def __repr__(self) -> str:
        """Name, precision and device."""
        return in_a_line(f"Backbone({self.name}, {self.precision}, {self.device})")


def _frozen(model: nn.Module, precision: Precision) -> nn.Module:
    model = model.eval().requires_grad_(False)
    if precision == "bf16":
        # Inputs of matrix products. Layer norms, biases and the logit scale stay as they are,
        # and so do the hidden states between products: see PromptedCLIP.
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data = parameter.data.to(torch.bfloat16)
    return model


def _normalisation(preprocess: Preprocess) -> tuple[RGB, RGB]:
    """Mean and standard deviation of a transform that ends with ``(x - mean) / std``."""
    size = (64, 64)
    black, white = (
        preprocess(new_image("RGB", size, color)).flatten(1).mean(dim=1).double()
        for color in ("black", "white")
    )
    std = 1 / (white - black)
    # Six digits are all that float32 pixels tell.
    mean = [round(value, 6) for value in (-black * std).tolist()]
    return _three(mean), _three([round(value, 6) for value in std.tolist()])


def _no_reader(prompt: Any) -> Tensor:
    del prompt
    raise BackboneError("the language model has no tokenizer: give tokens instead of texts")


def _three(values: Sequence[float]) -> RGB:
    red, green, blue = values
    return float(red), float(green), float(blue)
