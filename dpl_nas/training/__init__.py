"""Few-shot training of context vectors, and the test of what they learned."""

from dpl_nas.training.evaluate import Metrics, evaluate, zero_shot
from dpl_nas.training.prompts import TrainedPrompts, load_prompts
from dpl_nas.training.train import train

__all__ = ["Metrics", "TrainedPrompts", "evaluate", "load_prompts", "train", "zero_shot"]
