"""What the embedded language model can do on its tasks: ``python -m dpl_nas.glosses.gates``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpl_nas.errors import DplError
from dpl_nas.glosses.model import load_gloss_decoder
from dpl_nas.glosses.tasks import TASKS, GlossTask, load_texts
from dpl_nas.glosses.tokens import load_gloss_tokenizer

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

__all__ = ["GlossReport", "find_verbalisers", "main", "measure", "read_out"]

#: Texts that go through the model at once.
_BATCH = 64
#: Gates: zero-shot accuracy over chance, and what the probe has above zero-shot, in points.
_TIMES, _HEADROOM = 2.0, 12.0


@dataclass(frozen=True)
class GlossReport:
    """Accuracies on the test texts of a task, in percent.

    Attributes
    ----------
    task
        Name of the task.
    texts
        Number of test texts.
    chance
        Accuracy of a guess.
    zero_shot
        Accuracy of the verbaliser that is most likely to come next.
    probe
        Accuracy of a logistic regression on the last hidden state, mean over the draws of shots.
    spread
        Standard deviation of that over the draws.
    """

    task: str
    texts: int
    chance: float
    zero_shot: float
    probe: float
    spread: float

    @property
    def passed(self) -> bool:
        """Whether zero-shot is far above chance, and the probe far above zero-shot."""
        known = self.zero_shot >= _TIMES * self.chance
        return known and self.probe - self.zero_shot >= _HEADROOM


def find_verbalisers(task: GlossTask, codec: PreTrainedTokenizerFast) -> list[int]:
    """Return the first token of each verbaliser where it follows a space."""
    return [codec(word, add_special_tokens=False)["input_ids"][0] for word in task.verbalisers]


@torch.no_grad()
def read_out(
    model: GPT2LMHeadModel,
    codec: PreTrainedTokenizerFast,
    task: GlossTask,
    texts: Sequence[str],
) -> tuple[Tensor, Tensor]:
    """Return what the model has at the end of the template: what comes next.

    Returns
    -------
    tuple
        Logits of the verbalisers ``(n, c)``, and last hidden states ``(n, d)``.
    """
    rows = [codec(task.template.format(text=text))["input_ids"] for text in texts]
    words = torch.tensor(find_verbalisers(task, codec))
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    states = torch.zeros(len(rows), model.config.n_embd)
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        longest = len(rows[places[-1]])
        tokens = torch.zeros(len(places), longest, dtype=torch.long)
        mask = torch.zeros(len(places), longest, dtype=torch.long)
        for row, place in enumerate(places):
            tokens[row, : len(rows[place])] = torch.tensor(rows[place])
            mask[row, : len(rows[place])] = 1
        hidden = model.transformer(tokens, attention_mask=mask).last_hidden_state
        ends = torch.tensor([len(rows[place]) - 1 for place in places])
        states[places] = hidden[torch.arange(len(places)), ends]
    return states @ model.lm_head.weight[words].T, states


def measure(
    task: GlossTask,
    model: GPT2LMHeadModel | None = None,
    *,
    shots: int = 16,
    draws: int = 5,
    most: int | None = None,
) -> GlossReport:
    """Measure a model on the test texts of a task.

    Parameters
    ----------
    model
        The model; the shipped one by default.
    shots, draws
        Texts of each class that the probe learns from, and how often they are drawn.
    most
        Use this many test texts of each class; by default all.
    """
    model = model or load_gloss_decoder()
    codec = load_gloss_tokenizer()
    test = _take(task.test, most)
    truth = np.array([label for _, label in test])
    logits, states = read_out(model, codec, task, [text for text, _ in test])
    _, known = read_out(model, codec, task, [text for text, _ in task.pool])
    labels = np.array([label for _, label in task.pool])
    probes = [
        _probe(known.numpy(), labels, states.numpy(), truth, shots, seed) for seed in range(draws)
    ]
    return GlossReport(
        task=task.name,
        texts=len(test),
        chance=100 / len(task.classes),
        zero_shot=float(100 * (logits.argmax(dim=1).numpy() == truth).mean()),
        probe=float(np.mean(probes)),
        spread=float(np.std(probes)),
    )


def _take(texts: Sequence[tuple[str, int]], most: int | None) -> list[tuple[str, int]]:
    taken: list[tuple[str, int]] = []
    counts: dict[int, int] = {}
    for text, label in texts:
        counts[label] = counts.get(label, 0) + 1
        if most is None or counts[label] <= most:
            taken.append((text, label))
    return taken


def _probe(
    known: NDArray[np.float32],
    labels: NDArray[np.int_],
    states: NDArray[np.float32],
    truth: NDArray[np.int_],
    shots: int,
    seed: int,
) -> float:
    """Return the accuracy of a logistic regression that some texts of each class teach."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(seed)
    chosen = np.concatenate(
        [
            draw.choice(np.flatnonzero(labels == label), shots, replace=False)
            for label in np.unique(labels)
        ]
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
    model.fit(known[chosen], labels[chosen])
    return float(100 * (model.predict(states) == truth).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the model can do on each task; return 0 if it passes its gates."""
    parser = argparse.ArgumentParser(prog="python -m dpl_nas.glosses.gates", description=__doc__)
    parser.add_argument("--weights", type=Path, help="a file of weights (default: as shipped)")
    chosen = parser.parse_args(arguments)
    try:
        model = load_gloss_decoder(chosen.weights)
        reports = [measure(load_texts(name), model) for name in TASKS]
    except DplError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for each in reports:
        sys.stdout.write(
            f"{each.task}  texts {each.texts}  chance {each.chance:.1f}%  "
            f"zero-shot {each.zero_shot:.1f}%  16-shot probe {each.probe:.1f}% "
            f"(sd {each.spread:.1f})  {'passed' if each.passed else 'FAILED'}\n"
        )
    return 0 if all(each.passed for each in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
