"""Image files with labels: what every task on disk is made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dpl_nas.tasks.pictures import check_picture, content, read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageFiles"]


class ImageFiles:
    """Images on disk, opened when asked for.

    Parameters
    ----------
    places
        Path of each, below ``root``.
    labels
        Class index of each.
    root
        Folder of the images.
    background
        Background colour where an image is transparent.
    """

    def __init__(
        self,
        places: Sequence[str],
        labels: Sequence[int],
        *,
        root: str = "",
        background: str = "white",
    ) -> None:
        self.places = places
        self._labels = labels
        self._root = root
        self._background = background

    @property
    def labels(self) -> Sequence[int]:
        """Class index of each image."""
        return self._labels

    def on(self, background: str) -> ImageFiles:
        """The same images, where they are transparent on another colour."""
        return ImageFiles(self.places, self._labels, root=self._root, background=background)

    def path(self, index: int) -> str:
        """The path of the file at ``index``."""
        return os.path.join(self._root, self.places[index])  # noqa: PTH118 - asked a million times

    def image(self, index: int) -> Image:
        """The RGB image at ``index``.

        Raises
        ------
        TaskError
            If the file is not a readable image.
        """
        return read_picture(self.path(index), self._background)

    def check(self, index: int) -> bool:
        """Return whether an image's file holds more frames or pages than the one that is read.

        Raises
        ------
        TaskError
            If the file is not a readable image, or a damaged one.
        """
        return check_picture(self.path(index))

    def signature(self, index: int) -> bytes:
        """Return a signature of the file, its place and the way it is read."""
        digest = hashlib.sha256(content(self.path(index))).digest()
        place = os.fsencode(self.places[index])
        return b"\0".join((place, self._background.encode(), digest))
