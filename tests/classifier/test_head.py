"""The linear head: against scikit-learn's logistic regression, and what a prior does."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from dpl_nas.classifier.head import LinearHead, fit_head

CLASSES, EMBED = 3, 6


def labelled(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % CLASSES
    centres = torch.randn(CLASSES, EMBED, generator=generator)
    return centres[labels] + torch.randn(count, EMBED, generator=generator), labels


def nothing() -> LinearHead:
    return LinearHead(torch.zeros(CLASSES, EMBED), torch.zeros(CLASSES))


@pytest.mark.parametrize("strength", [1e-3, 1e-2, 0.3])
def test_without_captions_it_is_the_linear_probe(strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = labelled()
    unit = functional.normalize(features.double(), dim=1).numpy()
    # A further feature of 1 is a bias that is bounded as the weights are.
    with_one = np.hstack([unit, np.ones((len(unit), 1))])
    probe = LogisticRegression(
        C=1 / (strength * len(unit)), fit_intercept=False, tol=1e-10, max_iter=10_000
    ).fit(with_one, labels.numpy())
    head = fit_head(features, labels, nothing(), strength)
    expected = torch.from_numpy(probe.decision_function(with_one)).float()
    torch.testing.assert_close(head.logits(features), expected, atol=1e-3, rtol=1e-3)


def test_a_strong_prior_stays_and_a_weak_one_is_left() -> None:
    features, labels = labelled()
    prior = LinearHead.of_captions(torch.randn(CLASSES, EMBED), scale=10.0)
    kept = fit_head(features, labels, prior, 1e4)
    torch.testing.assert_close(kept.weights, prior.weights, atol=1e-3, rtol=0)
    away = fit_head(features, labels, prior, 1e-4)
    right = (away.logits(features).argmax(dim=1) == labels).float().mean()
    assert right > (prior.logits(features).argmax(dim=1) == labels).float().mean()


def test_captions_make_the_logits_of_a_clip() -> None:
    text, features = torch.randn(CLASSES, EMBED), torch.randn(5, EMBED)
    head = LinearHead.of_captions(text, scale=20.0)
    expected = 20 * functional.cosine_similarity(features[:, None], text[None], dim=-1)
    torch.testing.assert_close(head.logits(features), expected)


def test_a_class_without_pictures_is_still_a_class() -> None:
    features, labels = labelled()
    some = labels < 2
    head = fit_head(features[some], labels[some], nothing(), 1e-3)
    assert torch.isfinite(head.weights).all()
    assert torch.isfinite(head.bias).all()
    assert head.logits(features).shape == (40, CLASSES)


def test_weights_of_classes_are_copies_of_images() -> None:
    features, labels = labelled()
    counts = torch.tensor([1, 2, 3])
    copies = counts[labels]
    copied = fit_head(
        features.repeat_interleave(copies, dim=0), labels.repeat_interleave(copies), nothing(), 1e-2
    )
    weights = counts * len(labels) / copies.sum()
    head = fit_head(features, labels, nothing(), 1e-2, weights)
    torch.testing.assert_close(head.weights, copied.weights, atol=1e-4, rtol=1e-4)
