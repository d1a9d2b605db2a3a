"""Pre-training of the embedded CLIP: seeded, resumable, on the CPU.

Steps on rendered scenes and steps on drawings of the gallery take turns.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from open_clip.model import CLIP
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.config.values import NotNegative, Positive, Whole
from dpl_nas.errors import CheckpointError
from dpl_nas.io.files import write_bytes
from dpl_nas.io.validation import Frozen, Number
from dpl_nas.mini.batch import UNTOLD, Batch
from dpl_nas.mini.captions import every_word
from dpl_nas.mini.drawings import every_name, load_drawings, sample_drawings
from dpl_nas.mini.gates import normalize, zero_shot_accuracies
from dpl_nas.mini.model import MINI_CONFIG, build_mini_clip, save_mini_clip
from dpl_nas.mini.scenes import FACTS, sample_batch
from dpl_nas.mini.token_table import TokenTable
from dpl_nas.mini.vocabulary import CONTEXT_LENGTH, find_tokens, tokenizer

__all__ = ["PretrainProgress", "PretrainSettings", "pretrain"]

#: Initial scale of the logits: at CLIP's 1/0.07 a fresh model's noise is worse than guessing.
_FIRST_SCALE = 6.0
_PROGRESS_IMAGES = 256
_REWARM = 60
_ANCHOR_SCALE = 12.0
#: Share of the tokens that are without their own row at a step.
_FORGOTTEN = 0.1


class PretrainSettings(Frozen):
    """Settings of the pre-training of the embedded CLIP.

    Attributes
    ----------
    steps, batch_size
        Number of optimizer steps, and of image-caption pairs in each.
    matrix_lr, other_lr
        Peak learning rates of Muon (hidden matrices) and of AdamW (all else).
    weight_decay
        Decoupled weight decay of both.
    warmup, decay
        Shares of the steps during which the rate rises and falls linearly.
    easing
        Share of the steps during which scenes grow to full difficulty.
    shallow_layers, grow_at
        Initial depth of both towers, and the share of the steps after which they get all
        their layers: most is learnt at a third of the cost.
    anchoring
        Weight of the loss that predicts facts from single images and captions.
    seed
        Seed of the weights and of every batch.
    evaluate_every, save_every
        Number of steps between zero-shot measurements, and between saves of the state.
    """

    steps: Positive = 8000
    batch_size: Whole = Field(default=128, ge=2)
    matrix_lr: Number = Field(default=4e-3, gt=0)
    other_lr: Number = Field(default=2e-3, gt=0)
    weight_decay: Number = Field(default=0.05, ge=0)
    warmup: Number = Field(default=0.02, ge=0, le=1)
    decay: Number = Field(default=0.3, ge=0, le=1)
    easing: Number = Field(default=0.1, ge=0, le=1)
    anchoring: Number = Field(default=1.0, ge=0)
    shallow_layers: Whole = Field(default=4, ge=1, le=MINI_CONFIG.layers)
    grow_at: Number = Field(default=0.75, ge=0, le=1)
    seed: NotNegative = 0
    evaluate_every: Positive = 400
    save_every: Positive = 200


@dataclass(frozen=True)
class PretrainProgress:
    """A measurement during pre-training.

    Attributes
    ----------
    step
        Steps done.
    loss
        Mean loss since the last measurement, nats.
    seconds
        Wall time since this process began to train.
    accuracies
        Zero-shot accuracies by probe, 0..1.
    """

    step: int
    loss: float
    seconds: float
    accuracies: dict[str, float]


class _Trainer:
    def __init__(self, settings: PretrainSettings) -> None:
        self.settings = settings
        self.step = 0
        self._own = torch.tensor(find_tokens([*every_word(), *every_name()]))
        self._encoded: dict[str, list[int]] = {}
        facts = {**FACTS, **load_drawings().facts}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            heads = {n: nn.Linear(MINI_CONFIG.embed_dim, k, bias=False) for n, k in facts.items()}
        self.heads = nn.ModuleDict(heads)
        self._peaks = (settings.matrix_lr, settings.other_lr)
        self.layers = _depth(0, settings)
        self._build()

    def _build(self) -> None:
        settings = self.settings
        config = replace(MINI_CONFIG, layers=self.layers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = build_mini_clip(config, self._own)
            _initialise(self.model, self.layers)
        matrices, others, plain = _grouped(self.model)
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                matrices,
                lr=settings.matrix_lr,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            torch.optim.AdamW(
                [
                    {"params": others, "weight_decay": settings.weight_decay},
                    {"params": [*plain, *self.heads.parameters()], "weight_decay": 0.0},
                ],
                lr=settings.other_lr,
                betas=(0.9, 0.98),
            ),
        ]

    def grow(self, layers: int) -> None:
        """Deepen both towers; the new blocks start as identities, so no feature changes."""
        shallow, kept = self.model.state_dict(), self.layers
        self.layers = layers
        self._build()
        positions = [(index + 1) * layers // kept - 1 for index in range(kept)]
        state = self.model.state_dict()
        for name, value in state.items():
            if "resblocks." not in name:
                value.copy_(shallow[name])
                continue
            head, _, tail = name.partition("resblocks.")
            number, _, rest = tail.partition(".")
            if int(number) in positions:
                value.copy_(shallow[f"{head}resblocks.{positions.index(int(number))}.{rest}"])
            elif "out_proj" in rest or "c_proj" in rest:
                value.zero_()

    def state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "settings": self.settings.model_dump_json(),
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        # Saved before the step that deepens: the depth is that of the last step done.
        self.layers = _depth(max(0, self.step - 1), self.settings)
        self._build()
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    def encode_text(self, captions: Sequence[str], kept: Tensor | None = None) -> Tensor:
        """Return features ``(m, d)``; the text is cut at the longest caption, which is exact."""
        ids = [self._tokens(caption) for caption in captions]
        longest = max(len(row) for row in ids)
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        ends = torch.tensor([len(row) - 1 for row in ids])
        model = self.model
        table = cast("TokenTable", model.token_embedding)
        x = table(padded, kept) + model.positional_embedding[:longest]
        x = model.transformer(x, attn_mask=model.attn_mask[:longest, :longest])
        x = model.ln_final(x[torch.arange(len(ids)), ends])
        features: Tensor = x @ model.text_projection
        return features

    def encode_image(self, images: Tensor) -> Tensor:
        """Return features ``(b, d)`` of images in 0..1."""
        features: Tensor = self.model.visual(normalize(images))
        return features

    def _tokens(self, caption: str) -> list[int]:
        if caption not in self._encoded:
            codec = tokenizer()
            ids = codec.encode(caption)[: CONTEXT_LENGTH - 2]
            self._encoded[caption] = [codec.sot_token_id, *ids, codec.eot_token_id]
        return self._encoded[caption]

    def advance(self) -> float:
        """Take one optimizer step and return the loss."""
        settings = self.settings
        progress = self.step / settings.steps
        depth = _depth(self.step, settings)
        if depth != self.layers:
            self.grow(depth)
        difficulty = min(1.0, progress / settings.easing) if settings.easing else 1.0
        seed = settings.seed * 2**32 + self.step
        if self.step % 2:
            batch = sample_drawings(settings.batch_size, seed)
        else:
            batch = sample_batch(settings.batch_size, seed, difficulty)
        rate = _rate(self.step, settings)
        for optimizer, peak in zip(self._optimizers, self._peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
        loss = self._loss(batch)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        with torch.no_grad():
            # CLIP's own ceiling: the temperature stays above 0.01.
            self.model.logit_scale.clamp_(max=4.6052)
        self.step += 1
        return loss.item()

    def _loss(self, batch: Batch) -> Tensor:
        image = functional.normalize(self.encode_image(batch.images), dim=-1)
        text = functional.normalize(self.encode_text(batch.captions, self._kept()), dim=-1)
        pairs = self._contrast(batch, image, text)
        return pairs + self.settings.anchoring * self._anchored(batch, image, text)

    def _kept(self) -> Tensor:
        """Return which tokens keep their rows at this step: word vectors must do without, too."""
        generator = torch.Generator().manual_seed(self.settings.seed * 2**32 + self.step)
        return (torch.rand(len(self._own), generator=generator) >= _FORGOTTEN).float()

    def _anchored(self, batch: Batch, image: Tensor, text: Tensor) -> Tensor:
        """Return the cross-entropy of the facts, which shared heads predict from either modality.

        An image shows many facts and its caption names few, so this teaches a fresh model
        many times faster than the pairs do. The heads are discarded at the end.
        """
        losses = []
        for name, values in batch.facts.items():
            head = _ANCHOR_SCALE * cast("nn.Linear", self.heads[name]).weight.T
            pairs = [(image, values)]
            if name in batch.told:
                pairs.append((text, batch.told[name]))
            losses += [
                functional.cross_entropy(features @ head, known, ignore_index=UNTOLD)
                for features, known in pairs
                if (known != UNTOLD).any()
            ]
        return torch.stack(losses).mean()

    def _contrast(self, batch: Batch, image: Tensor, text: Tensor) -> Tensor:
        logits = self.model.logit_scale.exp() * image @ text.T  # [b, m]
        fits = batch.fits.float()
        return 0.5 * (_excess(logits, fits) + _excess(logits.T, fits.T))


def _excess(logits: Tensor, fits: Tensor) -> Tensor:
    """Return the cross-entropy, beyond the least there is, of rows whose right answers share.

    Several captions may be true of an image: none of them is a negative.
    """
    shares = fits / fits.sum(dim=1, keepdim=True)
    least = -(shares * shares.clamp(min=1e-9).log()).sum(dim=1).mean()
    return functional.cross_entropy(logits, shares) - least


def _initialise(model: CLIP, layers: int) -> None:
    for name, value in model.named_parameters():
        if value.ndim >= 2 and "resblocks" in name:
            gain = (2 * layers) ** -0.5 if "proj.weight" in name else 1.0
            fan_in = value.shape[1]
            nn.init.normal_(value, std=gain * fan_in**-0.5)
        elif value.ndim == 1 and name.endswith("bias"):
            nn.init.zeros_(value)
    nn.init.normal_(model.visual.class_embedding, std=0.02)
    nn.init.normal_(model.visual.positional_embedding, std=0.02)
    nn.init.normal_(model.positional_embedding, std=0.1)
    nn.init.constant_(model.logit_scale, math.log(_FIRST_SCALE))


def _grouped(model: CLIP) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return hidden matrices, other tensors with decay, and gains and biases without."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    plain: list[Tensor] = []
    for name, value in model.named_parameters():
        if value.ndim == 2 and "resblocks" in name:
            matrices.append(value)
        elif value.ndim >= 2:
            others.append(value)
        else:
            plain.append(value)
    return matrices, others, plain


def _rate(step: int, settings: PretrainSettings) -> float:
    rise = (step + 1) / max(1.0, settings.warmup * settings.steps)
    fall = (settings.steps - step) / max(1.0, settings.decay * settings.steps)
    # Deepening starts the optimizers afresh.
    again = (step + 1 - _growth_step(settings)) / _REWARM
    return min(1.0, rise, fall, again if again > 0 else 1.0)


def _growth_step(settings: PretrainSettings) -> int:
    return round(settings.grow_at * settings.steps)


def _depth(step: int, settings: PretrainSettings) -> int:
    return settings.shallow_layers if step < _growth_step(settings) else MINI_CONFIG.layers


def pretrain(
    settings: PretrainSettings,
    folder: Path,
    progress: Callable[[PretrainProgress], None] | None = None,
) -> Path:
    """Pre-train in ``folder``, or continue an interrupted run there.

    The state is written to ``folder/state.pt`` every ``save_every`` steps; a run that
    finds it continues from it and ends with exactly the weights of an uninterrupted one.

    Returns
    -------
    Path
        Path of the weights, for :func:`dpl_nas.mini.model.load_mini_clip`.

    Raises
    ------
    CheckpointError
        If the folder holds the state of a run with other settings, or a damaged state.
    """
    trainer = _Trainer(settings)
    file = folder / "state.pt"
    if file.exists():
        trainer.restore(_saved_state(file, settings))
    began = time.monotonic()
    losses: list[float] = []
    trainer.model.train()
    while trainer.step < settings.steps:
        losses.append(trainer.advance())
        last = trainer.step == settings.steps
        if last or trainer.step % settings.save_every == 0:
            _save(file, trainer.state())
        if progress and (last or trainer.step % settings.evaluate_every == 0):
            accuracies, _ = zero_shot_accuracies(
                trainer.encode_image, trainer.encode_text, images=_PROGRESS_IMAGES
            )
            mean = sum(losses) / len(losses)
            progress(PretrainProgress(trainer.step, mean, time.monotonic() - began, accuracies))
            losses.clear()
    if trainer.layers != MINI_CONFIG.layers:
        trainer.grow(MINI_CONFIG.layers)
    weights = folder / "mini_clip.safetensors"
    save_mini_clip(weights, trainer.model.state_dict())
    return weights


def _save(file: Path, state: dict[str, Any]) -> None:
    stream = io.BytesIO()
    torch.save(state, stream)
    write_bytes(file, stream.getvalue())


def _saved_state(file: Path, settings: PretrainSettings) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(file, weights_only=True)
        saved = state["settings"]
    except Exception as error:
        # A damaged archive raises one of many kinds of error.
        raise CheckpointError(f"{file} is not a state of pre-training: {error}") from error
    if saved != settings.model_dump_json():
        raise CheckpointError(
            f"{file} belongs to a run with other settings: choose another folder or remove it"
        )
    return state
