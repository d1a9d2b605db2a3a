"""Image sets made of others: one after another, or some of their images under other labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dpl_nas.tasks.digest import sign_image
from dpl_nas.tasks.task import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["JoinedImages", "SomeImages", "places_of"]


class _View:
    """A set whose images are those of other sets."""

    labels: Sequence[int]

    def _source(self, index: int) -> tuple[ImageSet, int]:
        """The set that has the image at ``index``, and its index there."""
        raise NotImplementedError

    def image(self, index: int) -> Image:
        """The RGB image at ``index``."""
        images, row = self._source(index)
        return images.image(row)

    def check(self, index: int) -> bool:
        """Check an image; return whether its file holds more than this image."""
        images, row = self._source(index)
        check = getattr(images, "check", None)
        return bool(check and check(row))

    def signature(self, index: int) -> bytes:
        """Return a signature that changes with any change to the image."""
        return sign_image(*self._source(index))

    def place(self, index: int) -> str | None:
        """The path of the image as its list has it; ``None`` for an image in memory."""
        return _place(*self._source(index))


class JoinedImages(_View):
    """The images of one set, then those of another."""

    def __init__(self, first: ImageSet, second: ImageSet) -> None:
        self._first, self._second = first, second
        self.labels: Sequence[int] = [*first.labels, *second.labels]
        self._cut = len(first.labels)

    def _source(self, index: int) -> tuple[ImageSet, int]:
        if index < self._cut:
            return self._first, index
        return self._second, index - self._cut


class SomeImages(_View):
    """Some images of a set.

    Parameters
    ----------
    rows
        Indices into ``images``.
    labels
        Class index of each of them.
    """

    def __init__(self, images: ImageSet, rows: Sequence[int], labels: Sequence[int]) -> None:
        self._images = images
        self._rows = rows
        self.labels: Sequence[int] = labels

    def _source(self, index: int) -> tuple[ImageSet, int]:
        return self._images, self._rows[index]


def places_of(images: ImageSet, rows: Sequence[int]) -> list[str | None]:
    """Return the paths of images as their list has them; ``None`` for those in memory."""
    return [_place(images, row) for row in rows]


def _place(images: ImageSet, row: int) -> str | None:
    if isinstance(images, _View):
        return images.place(row)
    places: Sequence[str] | None = getattr(images, "places", None)
    return None if places is None else places[row]
