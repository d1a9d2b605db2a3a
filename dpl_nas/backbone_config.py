"""Where :class:`BackboneConfig` was up to version 0.1; it is in :mod:`dpl_nas.space` now."""

from dpl_nas.space.backbone_config import BackboneConfig, Precision

__all__ = ["BackboneConfig", "Precision"]
