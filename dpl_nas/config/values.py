"""Number types of settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dpl_nas.io.validation import Number

__all__ = [
    "Augmentation",
    "Balance",
    "Beta",
    "Classes",
    "NotNegative",
    "Positive",
    "Share",
    "Size",
    "SizeOrZero",
    "TextTemplate",
    "Whole",
]


def _strict_int(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number")
    return value


Whole = Annotated[int, BeforeValidator(_strict_int)]
Positive = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
#: Learning rates and the like: larger values overflow in torch's optimizers.
Size = Annotated[Number, Field(gt=0, le=1e6)]
SizeOrZero = Annotated[Number, Field(ge=0, le=1e6)]
#: A part of something, and not nothing.
Share = Annotated[Number, Field(gt=0, le=1)]
Beta = Annotated[Number, Field(ge=0, lt=1)]
#: ``crop``: random resized crop; ``crop_flip``: the same and a horizontal flip.
Augmentation = Literal["none", "crop", "crop_flip"]
#: How classes with unequal numbers of images count the same.
Balance = Literal["none", "loss", "batches"]
#: Classes of a dataset: all, or the first (``base``) or second (``new``) half by label.
Classes = Literal["all", "base", "new"]
#: Captions of a class: the task's template, or the mean token embedding of
#: its template ensemble (as the released code of the paper does).
TextTemplate = Literal["task", "mean_embedding"]
