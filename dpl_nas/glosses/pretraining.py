"""Pre-training of the embedded language model: ``python -m dpl_nas.glosses.pretraining``.

It is seeded, resumable and runs on the CPU. What the tasks show is never learnt from.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import safetensors
import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from dpl_nas.config.values import NotNegative, Positive, Whole
from dpl_nas.errors import CheckpointError, DplError
from dpl_nas.gallery.packages import GLOSSES, get_package
from dpl_nas.glosses.lines import make_line, select_synsets
from dpl_nas.glosses.model import CONTEXT_LENGTH, build_gloss_decoder, save_gloss_decoder
from dpl_nas.glosses.tasks import TASKS, load_texts
from dpl_nas.glosses.tokens import load_gloss_tokenizer
from dpl_nas.glosses.wordnet import Synset, read_wordnet
from dpl_nas.io.files import open_file, write_bytes
from dpl_nas.io.validation import Frozen, Number

__all__ = ["GlossProgress", "GlossSettings", "main", "pretrain", "texts_of_tasks"]

_FORMAT = "dpl_nas gloss pretraining 1"
#: Most tokens of a line, and how far a batch may be shifted, so that all positions are learnt.
_LINE = 48
_SHIFT = CONTEXT_LENGTH - _LINE
#: Lines of like length are together in a batch; this many batches are sorted at once.
_SORTED = 40


class GlossSettings(Frozen):
    """Settings of the pre-training of the gloss decoder.

    Attributes
    ----------
    steps, batch_size
        Number of optimizer steps, and of lines in each.
    rate
        Peak learning rate of AdamW; it rises linearly and falls as a cosine.
    weight_decay
        Decoupled weight decay of matrices.
    warmup
        Share of the steps during which the rate rises.
    stress
        Weight of the tokens that say what a gloss is about; others weigh one.
    others
        Share of the verbs, adjectives and adverbs that each pass over the nouns has.
    seed
        Seed of the weights and of every batch.
    report_every, save_every
        Number of steps between reports, and between saves of the state.
    """

    steps: Positive = 4200
    batch_size: Whole = Field(default=32, ge=1)
    rate: Number = Field(default=3e-3, gt=0)
    weight_decay: Number = Field(default=0.05, ge=0)
    warmup: Number = Field(default=0.03, ge=0, le=1)
    stress: Number = Field(default=2.0, gt=0)
    others: Number = Field(default=0.15, ge=0, le=1)
    seed: NotNegative = 0
    report_every: Positive = 100
    save_every: Positive = 250


@dataclass(frozen=True)
class GlossProgress:
    """A report during pre-training.

    Attributes
    ----------
    step
        Steps done.
    loss, said
        Mean loss since the last report, nats a token: of all tokens, and of what is said of
        the glosses.
    seconds
        Wall time since this process began to train.
    """

    step: int
    loss: float
    said: float
    seconds: float


class _Lines:
    """Batches of lines: the one of a step depends on the settings and the step alone."""

    def __init__(self, synsets: Sequence[Synset], settings: GlossSettings) -> None:
        self._nouns = [each for each in synsets if each.part == "noun"]
        self._others = [each for each in synsets if each.part != "noun"]
        self._settings = settings
        self._codec = load_gloss_tokenizer()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield tokens ``(b, t)`` and their weights, without end."""
        settings = self._settings
        size, number = settings.batch_size, 0
        while True:
            generator = random.Random(f"{settings.seed} {number}")
            chosen = [
                *self._nouns,
                *generator.sample(self._others, round(settings.others * len(self._others))),
            ]
            generator.shuffle(chosen)
            for start in range(0, len(chosen), size * _SORTED):
                part = chosen[start : start + size * _SORTED]
                yield from self._batch_up([make_line(each, generator) for each in part], generator)
            number += 1

    def _batch_up(
        self, lines: list[tuple[str, str]], generator: random.Random
    ) -> Iterator[tuple[Tensor, Tensor]]:
        size = self._settings.batch_size
        glosses = self._codec([gloss for gloss, _ in lines])["input_ids"]
        said = self._codec([text for _, text in lines], add_special_tokens=False)["input_ids"]
        rows = [
            (first[: _LINE - len(second)], second)
            for first, second in zip(glosses, said, strict=True)
        ]
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        generator.shuffle(batches)
        yield from (self._pad(batch) for batch in batches)

    def _pad(self, rows: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
        longest = max(len(first) + len(second) for first, second in rows)
        tokens = torch.zeros(len(rows), longest, dtype=torch.long)
        weights = torch.zeros(len(rows), longest)
        for place, (first, second) in enumerate(rows):
            end = len(first) + len(second)
            tokens[place, :end] = torch.tensor(first + second)
            weights[place, : len(first)] = 1.0
            weights[place, len(first) : end] = self._settings.stress
        return tokens, weights


class _Trainer:
    def __init__(self, settings: GlossSettings, layers: int | None) -> None:
        self.settings = settings
        self.step = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = build_gloss_decoder(layers) if layers else build_gloss_decoder()
        self.model.train()
        # What fills up comes last, where no earlier token sees it: no mask is needed.
        self.model.config.pad_token_id = None
        named = dict(self.model.transformer.named_parameters())
        decayed = [name for name, value in named.items() if value.dim() > 1]
        self._names = [*decayed, *(name for name in named if name not in decayed)]
        self._weights = named
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [named[n] for n in decayed], "weight_decay": settings.weight_decay},
                {
                    "params": [named[n] for n in self._names[len(decayed) :]],
                    "weight_decay": 0.0,
                },
            ],
            lr=settings.rate,
            betas=(0.9, 0.98),
            fused=True,
        )

    def state(self) -> bytes:
        tensors = {f"weight/{name}": value.detach() for name, value in self._weights.items()}
        for name, value in self._weights.items():
            for key, held in self._optimizer.state[value].items():
                tensors[f"{key}/{name}"] = held
        metadata = {
            "format": _FORMAT,
            "step": str(self.step),
            "settings": self.settings.model_dump_json(),
        }
        return save({name: value.contiguous() for name, value in tensors.items()}, metadata)

    def restore(self, file: Path) -> None:
        with open_file(file):
            pass
        try:
            with safetensors.safe_open(str(file), framework="pt") as stream:
                metadata = stream.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise CheckpointError(f"{file} is not a state of pre-training: remove it")
                if json.loads(metadata["settings"]) != self.settings.model_dump(mode="json"):
                    raise CheckpointError(
                        f"{file} belongs to a run with other settings: choose another file to "
                        "write or remove it"
                    )
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{file} is not a state of pre-training: remove it") from error
        self.step = int(metadata["step"])
        with torch.no_grad():
            for name, value in self._weights.items():
                value.copy_(tensors[f"weight/{name}"])
                self._optimizer.state[value] = {
                    key: tensors[f"{key}/{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
                }

    def advance(self, tokens: Tensor, weights: Tensor) -> tuple[float, float]:
        """Take one optimizer step; return the loss of all tokens, and of what is said."""
        settings = self.settings
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate * _share(self.step, settings)
        shift = random.Random(f"{settings.seed} shift {self.step}").choice((0, 0, *range(_SHIFT)))
        places = torch.arange(shift, shift + tokens.shape[1]).unsqueeze(0)
        hidden = self.model.transformer(tokens, position_ids=places).last_hidden_state[:, :-1]
        counted = weights[:, 1:] > 0
        logits = functional.linear(hidden[counted], self.model.lm_head.weight)
        shares = weights[:, 1:][counted]
        losses = functional.cross_entropy(logits, tokens[:, 1:][counted], reduction="none")
        loss = (losses * shares).sum() / shares.sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        said = losses.detach()[shares != 1]
        return losses.detach().mean().item(), said.mean().item() if len(said) else math.nan


def _share(step: int, settings: GlossSettings) -> float:
    rise = (step + 1) / max(1.0, settings.warmup * settings.steps)
    return min(1.0, rise) * (0.51 + 0.49 * math.cos(math.pi * step / settings.steps))


def texts_of_tasks() -> frozenset[str]:
    """Return all texts of all tasks, to draw shots from or to test on."""
    tasks = [load_texts(name) for name in TASKS]
    return frozenset(text for task in tasks for text, _ in (*task.pool, *task.test))


def pretrain(
    settings: GlossSettings,
    synsets: Sequence[Synset],
    out: Path,
    progress: Callable[[GlossProgress], None] | None = None,
    layers: int | None = None,
) -> None:
    """Pre-train and write the weights to ``out``, or continue an interrupted run.

    The state is written beside it, to ``out`` with the ending ``.state``, every ``save_every``
    steps; a run that finds it continues from it and ends with the weights of an uninterrupted one.

    Parameters
    ----------
    synsets
        What to learn from; the texts of the tasks are left out.
    layers
        Another number of layers than the shipped model's.

    Raises
    ------
    CheckpointError
        If the state is of a run with other settings, or damaged.
    """
    trainer = _Trainer(settings, layers)
    file = out.with_suffix(".state")
    if file.exists():
        trainer.restore(file)
    batches = _Lines(select_synsets(synsets, texts_of_tasks()), settings).batches()
    for _ in range(trainer.step):
        next(batches)
    began = time.monotonic()
    seen: list[tuple[float, float]] = []
    while trainer.step < settings.steps:
        seen.append(trainer.advance(*next(batches)))
        last = trainer.step == settings.steps
        if last or trainer.step % settings.save_every == 0:
            write_bytes(file, trainer.state())
        if progress and (last or trainer.step % settings.report_every == 0):
            said = [each for _, each in seen if not math.isnan(each)]
            progress(
                GlossProgress(
                    step=trainer.step,
                    loss=sum(each for each, _ in seen) / len(seen),
                    said=sum(said) / max(1, len(said)),
                    seconds=time.monotonic() - began,
                )
            )
            seen.clear()
    save_gloss_decoder(out, trainer.model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Pre-train from a command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dpl_nas.glosses.pretraining", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="file of weights to write")
    parser.add_argument(
        "--packages", type=Path, help="folder of the package of WordNet (default: that of --out)"
    )
    parser.add_argument("--steps", type=int, default=GlossSettings().steps)
    chosen = parser.parse_args(arguments)
    try:
        settings = GlossSettings(steps=chosen.steps)
        packages = cast("Path", chosen.packages or chosen.out.parent)
        synsets = read_wordnet(get_package(GLOSSES, packages))
        pretrain(settings, synsets, chosen.out, _tell)
    except (DplError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _tell(report: GlossProgress) -> None:
    sys.stderr.write(
        f"step {report.step}  loss {report.loss:.3f}  said {report.said:.3f}  "
        f"{report.seconds:.0f} s\n"
    )
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
