"""The benchmark of the field: fifteen datasets in CoOp's layout, with the published splits."""

from __future__ import annotations

from dpl_nas.tasks.coop.loading import coop_descriptions, is_coop, load_coop_task

__all__ = ["coop_descriptions", "is_coop", "load_coop_task"]
