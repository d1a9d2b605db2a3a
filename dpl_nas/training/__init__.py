"""Few-shot training of context vectors, and the test of what they learned."""

from dpl_nas.training.evaluation import Metrics, evaluate, zero_shot
from dpl_nas.training.few_shot import train
from dpl_nas.training.problem import Problem
from dpl_nas.training.prompts import TrainedPrompts, load_prompts

__all__ = ["Metrics", "Problem", "TrainedPrompts", "evaluate", "load_prompts", "train", "zero_shot"]
