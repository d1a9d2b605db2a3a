"""The benchmark's fifteen datasets: where their files are, and how many there should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["DATASETS", "PREFIX", "Dataset", "Figures", "Kind"]

#: What the names of these tasks begin with.
PREFIX = "coop/"

#: ``split``: a JSON file lists the images. ``aircraft``: text files of FGVC-Aircraft.
#: ``imagenet``: folders for training and test. ``variant``, ``numbered``: folders for tests only,
#: named by WordNet's numbers or by the line of their class.
Kind = Literal["split", "aircraft", "imagenet", "variant", "numbered"]


@dataclass(frozen=True)
class Figures:
    """Numbers of classes and images."""

    classes: int
    train: int
    validation: int
    test: int

    def as_dict(self) -> dict[str, int]:
        """Return the numbers as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Dataset:
    """A dataset of the benchmark.

    Attributes
    ----------
    name
        Name of the dataset, as in its split file.
    folders
        Its folder: CoOp's name, then others that are in use.
    images
        Folder of its images, below that; several names of one, ``""`` for the dataset's own.
    template
        Caption, with ``{}`` for the class name.
    figures
        Published numbers.
    about
        What its images show.
    """

    name: str
    folders: tuple[str, ...]
    images: tuple[str, ...]
    template: str
    figures: Figures
    about: str
    kind: Kind = "split"

    @property
    def lists(self) -> tuple[str, ...]:
        """The files that list classes and images."""
        if self.kind == "split":
            return (f"split_zhou_{self.name}.json",)
        if self.kind == "aircraft":
            parts = (f"images_variant_{part}.txt" for part in ("train", "val", "test"))
            return ("variants.txt", *parts)
        return ("classnames.txt",)


_PHOTO = "a photo of a {}."


def _imagenet(
    name: str,
    folder: str,
    images: tuple[str, ...],
    figures: Figures,
    about: str,
    kind: Kind = "variant",
) -> Dataset:
    return Dataset(name, (folder,), images, _PHOTO, figures, about, kind)


_ALL = (
    Dataset(
        "Caltech101",
        ("caltech-101", "Caltech101"),
        ("101_ObjectCategories",),
        _PHOTO,
        Figures(100, 4128, 1649, 2465),
        "objects",
    ),
    Dataset(
        "OxfordPets",
        ("oxford_pets", "OxfordPets"),
        ("images",),
        "a photo of a {}, a type of pet.",
        Figures(37, 2944, 736, 3669),
        "breeds of cats and dogs",
    ),
    Dataset(
        "StanfordCars",
        ("stanford_cars", "StanfordCars"),
        ("",),
        _PHOTO,
        Figures(196, 6509, 1635, 8041),
        "models of cars",
    ),
    Dataset(
        "OxfordFlowers",
        ("oxford_flowers", "Flower102"),
        ("jpg",),
        "a photo of a {}, a type of flower.",
        Figures(102, 4093, 1633, 2463),
        "flowers",
    ),
    Dataset(
        "Food101",
        ("food-101", "Food101"),
        ("images",),
        "a photo of {}, a type of food.",
        Figures(101, 50500, 20200, 30300),
        "dishes",
    ),
    Dataset(
        "FGVCAircraft",
        ("fgvc_aircraft",),
        ("images",),
        "a photo of a {}, a type of aircraft.",
        Figures(100, 3334, 3333, 3333),
        "models of aircraft",
        "aircraft",
    ),
    Dataset(
        "SUN397",
        ("sun397", "SUN397"),
        ("SUN397",),
        _PHOTO,
        Figures(397, 15880, 3970, 19850),
        "scenes",
    ),
    Dataset(
        "DescribableTextures",
        ("dtd", "DTD"),
        ("images",),
        "{} texture.",
        Figures(47, 2820, 1128, 1692),
        "textures",
    ),
    Dataset(
        "EuroSAT",
        ("eurosat",),
        ("2750",),
        "a centered satellite photo of {}.",
        Figures(10, 13500, 5400, 8100),
        "satellite photos of land",
    ),
    Dataset(
        "UCF101",
        ("ucf101", "UCF101"),
        ("UCF-101-midframes",),
        "a photo of a person doing {}.",
        Figures(101, 7639, 1898, 3783),
        "people's actions",
    ),
    _imagenet(
        "ImageNet",
        "imagenet",
        ("images", ""),
        Figures(1000, 1_281_167, 0, 50_000),
        "objects and animals; its validation images are the test set",
        "imagenet",
    ),
    _imagenet(
        "ImageNetV2",
        "imagenetv2",
        ("imagenetv2-matched-frequency-format-val",),
        Figures(1000, 0, 0, 10_000),
        "ImageNet's classes, collected again; for tests",
        "numbered",
    ),
    _imagenet(
        "ImageNet-Sketch",
        "imagenet-sketch",
        ("images",),
        Figures(1000, 0, 0, 50_889),
        "sketches of ImageNet's classes; for tests",
    ),
    _imagenet(
        "ImageNet-A",
        "imagenet-adversarial",
        ("imagenet-a",),
        Figures(200, 0, 0, 7500),
        "hard photos of 200 classes of ImageNet; for tests",
    ),
    _imagenet(
        "ImageNet-R",
        "imagenet-rendition",
        ("imagenet-r",),
        Figures(200, 0, 0, 30_000),
        "art of 200 classes of ImageNet; for tests",
    ),
)

#: All datasets by name.
DATASETS: Mapping[str, Dataset] = MappingProxyType({each.name: each for each in _ALL})
