"""Methods of few-shot learning on a frozen CLIP, each a module, behind one interface.

>>> from dpl_nas.methods import make_method
>>> make_method("tip-adapter", weight=2.0).weight
2.0

``make_method(name).adapt(problem)`` learns from the shots of a problem; ``.scorer(backbone, task)``
of the result answers for images.
"""

from dpl_nas.methods.features import FeatureMethod, FittedMethod, LabelledFeatures
from dpl_nas.methods.layered import LayeredMethod
from dpl_nas.methods.method import Learned, Method, Scorer
from dpl_nas.methods.registry import METHODS, make_method, method_class
from dpl_nas.methods.saved import load_learned, save_learned
from dpl_nas.methods.searched import problem_of_run, with_towers_of
from dpl_nas.methods.tokens import TokenCLIP
from dpl_nas.methods.towers import TowerMethod, coop_recipe

__all__ = [
    "METHODS",
    "FeatureMethod",
    "FittedMethod",
    "LabelledFeatures",
    "LayeredMethod",
    "Learned",
    "Method",
    "Scorer",
    "TokenCLIP",
    "TowerMethod",
    "coop_recipe",
    "load_learned",
    "make_method",
    "method_class",
    "problem_of_run",
    "save_learned",
    "with_towers_of",
]
