"""Work for several processes, in a module that all of them can import."""

import os

import torch

from dpl_nas.backbone import Backbone
from dpl_nas.training.distributed import Ranks


def fails(error: BaseException, *, ranks: Ranks, backbone: Backbone) -> torch.Tensor:
    """Work whose second process fails, between two sums."""
    ranks.total(torch.ones(1))
    if not ranks.first:
        raise error
    return ranks.total(torch.ones(1))


def dies(*, ranks: Ranks, backbone: Backbone) -> torch.Tensor:
    ranks.total(torch.ones(1))
    if not ranks.first:
        os._exit(9)
    return ranks.total(torch.ones(1))
