"""Relocation of context vectors between layers (PRO-VPT, Shang et al. 2025)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from random import Random

import torch

from dpl_nas.config import ProVptSettings
from dpl_nas.engine import Cost, StopReason
from dpl_nas.observer import Stage
from dpl_nas.seeds import derive_seed
from dpl_nas.space import Space, fitting
from dpl_nas.strategy.base import Found, Strategy
from dpl_nas.strategy.search import Search
from dpl_nas.strategy.supernet.images import Supernet
from dpl_nas.strategy.supernet.salient import SalientSupernet
from dpl_nas.training.evaluation import Classifier

__all__ = ["ProVpt", "choose_layer", "moves"]

#: Lengths in the order of the labels, and their score.
Seen = tuple[Sequence[int], float]


class ProVpt(Strategy):
    """Relocation of idle vectors while they are trained (Shang et al. 2025, arXiv 2503.06901).

    The even design that fits is trained. After a few epochs, again and again, its most idle vector
    is taken away, if the loss should fall without it, and a layer is given one more.

    Here, unlike there, both towers take part, in the steps of the lengths on offer and within the
    limits. Idleness is summed over the training steps, without a pass of its own. The layer is not
    drawn by a policy (PPO) but by Thompson sampling: a layer has success if the score on the
    validation images rises after it was given a vector; the released code has this bandit as its
    other choice, with the training loss. The best designs on the way are trained afresh, as trials
    of every strategy. All have about as many vectors, so a front is short.
    """

    name = "pro_vpt"
    Settings = ProVptSettings
    plans = True
    stage = Stage.SHORTLIST

    settings: ProVptSettings

    def explore(self, search: Search) -> Found | None:
        """Train and relocate, then train the best designs of the way.

        Raises
        ------
        StrategyError
            If the budget does not cover one epoch of the training.
        """
        goal = fitting.bound_vectors(search.space, self.settings.keep)
        start = fitting.even_design(goal).by_label()
        if not moves(goal, start):
            search.evaluate([search.space.architecture(start)])
            return None
        supernet = Supernet(search, self.settings)

        def cost(epoch: int) -> Cost:
            # As in one_shot, a validation counts as training steps.
            seen = len(supernet.validation) if (epoch + 1) % self.settings.every == 0 else 0
            return Cost(
                steps=supernet.steps_an_epoch + math.ceil(seen / self.settings.batch_size),
                images=len(supernet.training) + seen,
            )

        epochs = supernet.affordable_epochs(
            lambda epoch: cost(epoch).steps, supernet.reserve(self.settings.shortlist)
        )
        settings = self.settings.model_copy(update={"epochs": epochs})
        model = SalientSupernet(search, supernet, settings, cost)
        if model.done == 0:
            for label, context in model.contexts.items():
                context.drop(context.length - start[label], context.saliency)

        def relocate(done: int) -> None:
            if done % settings.every:
                return
            with torch.no_grad():
                features = model.clip.encode_text(supernet.text)
            score = search.engine.validate(Classifier(model.clip, features)).score
            model.history.append((list(model.lengths.values()), score))
            # The last design is measured, too.
            if done + settings.every <= epochs:
                rng = Random(derive_seed(search.seed, "relocation", done))
                _relocate(goal, model, rng)

        model.train(relocate)
        # The last design is that of the paper; then come the best, each once.
        best = sorted(model.history, key=lambda seen: -seen[1])
        designs = [model.lengths, *(dict(zip(start, each, strict=True)) for each, _ in best)]
        trials = list(dict.fromkeys(map(search.space.architecture, designs)))
        found = search.evaluate(trials[: settings.shortlist])
        stopped_by = StopReason.EPOCHS if epochs == self.settings.epochs else None
        return Found(None if found else trials[0], stopped_by=stopped_by)


def _relocate(space: Space, model: SalientSupernet, rng: Random) -> None:
    """Move the most idle vector to another layer, if the loss should fall without it."""
    before, contexts = model.lengths, model.contexts
    possible = moves(space, before)
    idleness = {
        label: contexts[label].most_idle(before[label] - shorter)
        for label, shorter in _steps(space, before, -1).items()
        if label in possible
    }
    source = max(idleness, key=lambda label: idleness[label], default=None)
    if source is not None and idleness[source] > 0:
        layer = choose_layer(possible[source], list(before), model.history, rng)
        after = possible[source][layer]
        contexts[source].drop(before[source] - after[source], -contexts[source].idleness)
        contexts[layer].add(after[layer] - before[layer])
    for context in contexts.values():
        context.forget()


def moves(space: Space, lengths: Mapping[str, int]) -> dict[str, dict[str, dict[str, int]]]:
    """The moves that fit, by the layer that gives and the layer that is given: the lengths after.

    A layer gives or is given as many vectors as there are to its next length on offer.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    for source, shorter in _steps(space, lengths, -1).items():
        for layer, longer in _steps(space, lengths, 1).items():
            after = {**lengths, source: shorter, layer: longer}
            if layer != source and fitting.fits(space, after):
                found.setdefault(source, {})[layer] = after
    return found


def choose_layer(
    layers: Iterable[str], labels: Sequence[str], history: Sequence[Seen], rng: Random
) -> str:
    """Draw a layer by Thompson sampling.

    Parameters
    ----------
    layers
        Layers to choose from.
    labels
        All layers, in the order of the lengths in ``history``.
    history
        Designs and their scores, in their order in time.
    """
    rose: Counter[str] = Counter()
    fell: Counter[str] = Counter()
    for (before, score), (after, later) in pairwise(history):
        for label, old, new in zip(labels, before, after, strict=True):
            if new > old:
                (rose if later > score else fell)[label] += 1
    chances = {label: rng.betavariate(1 + rose[label], 1 + fell[label]) for label in layers}
    return max(chances, key=lambda label: chances[label])


def _steps(space: Space, lengths: Mapping[str, int], by: int) -> dict[str, int]:
    """The next shorter (-1) or longer (1) length of each layer that has one."""
    found = {}
    for label, tower, _ in space.labels():
        offered = space.towers[tower].lengths
        place = offered.index(lengths[label]) + by
        if 0 <= place < len(offered):
            found[label] = offered[place]
    return found
