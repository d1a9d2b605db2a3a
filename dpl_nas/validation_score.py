"""The one number by which searches compare trials."""

from __future__ import annotations

__all__ = ["validation_score"]


def validation_score(accuracy: float, loss: float) -> float:
    """Return the accuracy plus the mean log-likelihood, which is the negative ``loss``.

    Of a few validation images, the accuracy has few values; the log-likelihood heeds how sure each
    answer is, but a single image that is surely wrong can decide it. Their sum ranks architectures
    better than either (``python -m benchmarks.evidence``).

    Parameters
    ----------
    accuracy
        Share in 0..1.
    loss
        Mean cross-entropy in nats.
    """
    return accuracy - loss
