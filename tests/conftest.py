"""A small task and a small backbone, real parts both, for tests of whole stages."""

import importlib
import inspect
import json
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import HealthCheck, settings
from open_clip import factory
from PIL import Image

from dpl_nas.backbone import Backbone, load_backbone
from dpl_nas.config import RunConfig
from dpl_nas.mini.captions import every_word
from dpl_nas.mini.model import build_mini_clip, save_mini_clip
from dpl_nas.mini.vocabulary import find_tokens
from dpl_nas.space import Space

pytest.register_assert_rewrite("dpl_nas.testing")

with warnings.catch_warnings():
    # NNI and Lightning are imported by tests that search; what they warn of is theirs.
    warnings.simplefilter("ignore")
    import nni.nas.strategy

# What takes long depends on the other processes of the machine.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A shell that starts the tests in the background, or nohup, has its children ignore these, and
# processes that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

#: Modules whose names users import, most of them rooms.
PUBLIC = (
    "dpl_nas",
    "dpl_nas.backbone",
    "dpl_nas.bench",
    "dpl_nas.classifier.export",
    "dpl_nas.classifier.fitting",
    "dpl_nas.classifier.folder",
    "dpl_nas.classifier.held",
    "dpl_nas.classifier.saved",
    "dpl_nas.comparison",
    "dpl_nas.config",
    "dpl_nas.diagnostics",
    "dpl_nas.engine",
    "dpl_nas.nni.model_space",
    "dpl_nas.nni.named_space",
    "dpl_nas.prompted",
    "dpl_nas.methods",
    "dpl_nas.runs",
    "dpl_nas.space",
    "dpl_nas.strategy",
    "dpl_nas.tasks",
    "dpl_nas.tasks.inventory",
    "dpl_nas.testing",
    "dpl_nas.training",
)

CLASSES = ("dark_square", "grey", "white")
MODEL = "test-small"


def write_images(folder: Path, per_class: int, seed: int) -> None:
    """Noisy squares whose brightness tells their class."""
    generator = np.random.default_rng(seed)
    for index, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = generator.normal(50 + 75 * index, 25, (36, 32, 3)).clip(0, 255)
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{number:03}.png")


@pytest.fixture(scope="session")
def public_names() -> dict[str, Any]:
    """What users import, by name; those of two modules, such as ``runs.train``, with the module."""
    found: dict[str, Any] = {}
    for name in PUBLIC:
        module = importlib.import_module(name)
        for each in module.__all__:
            value = getattr(module, each)
            if found.get(each, value) is not value:
                each = f"{name.removeprefix('dpl_nas.')}.{each}"  # noqa: PLW2901
            found[each] = value
    return found


@pytest.fixture(scope="session")
def public(public_names: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """Functions, constructors and methods of this package that users call, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name, value in public_names.items():
        if inspect.isfunction(value):
            found[name] = value
        elif inspect.isclass(value):
            for method in dir(value):
                given = inspect.getattr_static(value, method)
                function = getattr(given, "__func__", given)
                own = inspect.isfunction(function) and function.__module__.startswith("dpl_nas")
                if own and (method == "__init__" or not method.startswith("_")):
                    found[f"{name}.{method}"] = function
    return found


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "train", 10, seed=0)
    write_images(folder / "test", 20, seed=1)
    (folder / "task.yml").write_text("template: a photo of a {} thing.\naugmentation: none\n")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an open_clip model of 3 + 2 layers, registered while the tests run."""
    file = tmp_path_factory.mktemp("models") / f"{MODEL}.json"
    vision = {"layers": 3, "width": 32, "head_width": 8, "patch_size": 8, "image_size": 24}
    text = {"layers": 2, "width": 16, "heads": 2, "context_length": 20, "vocab_size": 49408}
    file.write_text(json.dumps({"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(file)
    yield MODEL
    factory._MODEL_CONFIG_PATHS.remove(file)
    del factory._MODEL_CONFIGS[MODEL]


@pytest.fixture(scope="session")
def small_space(small_model: str) -> Space:
    return Space.model_validate(
        {
            "name": "small",
            "backbone": {"model": small_model, "pretrained": "random"},
            "towers": {
                "image": {"layers": [0, 2], "lengths": [0, 2, 4]},
                "text": {"layers": [0, 1], "lengths": "0-2"},
            },
        }
    )


@pytest.fixture(scope="session")
def small_backbone(small_space: Space) -> Backbone:
    return load_backbone(small_space.backbone)


@pytest.fixture(scope="session")
def mini_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for the embedded CLIP: the same paths, known everywhere."""
    path = tmp_path_factory.mktemp("weights") / "mini.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_mini_clip(tokens=torch.tensor(find_tokens(every_word())))
    save_mini_clip(path, model.state_dict())
    return path


@pytest.fixture
def run_config(small_space: Space, image_folder: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "task": str(image_folder),
            "space": small_space.model_dump(mode="json"),
            "strategy": {
                "name": "quick",
                "strategy": "darts",
                "search": {"epochs": 4, "batch_size": 6, "alphas": {"lr": 0.1}},
                "train": {"epochs": 3, "batch_size": 6},
            },
            "shots": 6,
            "seed": 3,
        }
    )


#: The benchmark's split files: folder, folder of images, name.
SPLITS = (
    ("caltech-101", "101_ObjectCategories", "Caltech101"),
    ("oxford_pets", "images", "OxfordPets"),
    ("stanford_cars", ".", "StanfordCars"),
    ("oxford_flowers", "jpg", "OxfordFlowers"),
    ("food-101", "images", "Food101"),
    ("sun397", "SUN397", "SUN397"),
    ("dtd", "images", "DescribableTextures"),
    ("eurosat", "2750", "EuroSAT"),
    ("ucf101", "UCF-101-midframes", "UCF101"),
)
#: Class names with the numbers of ImageNet's folders.
NUMBERED = {
    "n01440764": "tench",
    "n01443537": "goldfish",
    "n03773504": "missile",
    "n04008634": "missile",
    "n04356056": "sunglasses",
}
#: Images a class in the miniatures.
PER_CLASS = {"train": 6, "val": 3, "test": 2}


def write_picture(path: Path, shade: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (shade, shade, 255 - shade)).save(path, "JPEG")


def write_split(folder: Path, images: str, name: str) -> None:
    """A dataset with a split file, whose classes appear in another order than their labels."""
    classes = {2: "red_pea", 0: "green_cup", 4: "blue car", 3: "black dog"}
    split: dict[str, list[list[object]]] = {part: [] for part in PER_CLASS}
    for part, count in PER_CLASS.items():
        for number in range(count):
            for label, title in classes.items():
                place = f"{title}/{part}_{number}.jpg"
                write_picture(folder / images / place, 50 * label + number)
                split[part].append([place, label, title])
    (folder / f"split_zhou_{name}.json").write_text(json.dumps(split, indent=4))


def write_aircraft(folder: Path) -> None:
    variants = ("707-320", "DHC-6", "F-16A/B", "Cessna 172")
    folder.mkdir()
    (folder / "variants.txt").write_text("\n".join(variants) + "\n")
    for index, (part, count) in enumerate(PER_CLASS.items()):
        lines = []
        for number in range(count):
            for label, variant in enumerate(variants):
                file = f"{index}{number}{label:05}"
                write_picture(folder / "images" / f"{file}.jpg", 50 * label + number)
                lines.append(f"{file} {variant}\n")
        (folder / f"images_variant_{part}.txt").write_text("".join(lines))


def write_imagenet(root: Path) -> None:
    """ImageNet and its four variants, of which A and R have some of its classes."""
    names = "".join(f"{number} {name}\n" for number, name in NUMBERED.items())
    some = ("n01440764", "n04356056")
    places = {
        "imagenet": [f"images/{part}/{each}" for part in ("train", "val") for each in NUMBERED],
        "imagenetv2": [f"imagenetv2-matched-frequency-format-val/{i}" for i in range(5)],
        "imagenet-sketch": [f"images/{each}" for each in NUMBERED],
        "imagenet-adversarial": [f"imagenet-a/{each}" for each in some],
        "imagenet-rendition": [f"imagenet-r/{each}" for each in some],
    }
    for dataset, folders in places.items():
        for place in folders:
            for number in range(PER_CLASS["train" if "train" in place else "test"]):
                write_picture(root / dataset / place / f"x_{number}.JPEG", 20 * number)
        (root / dataset / "classnames.txt").write_text(names)
    for place in ("imagenet-adversarial/imagenet-a", "imagenet-rendition/imagenet-r"):
        (root / place / "README.txt").write_text("of the authors")


@pytest.fixture(scope="session")
def whole_benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Miniatures of the benchmark's fifteen datasets, as the field lays them out."""
    root = tmp_path_factory.mktemp("data")
    for folder, images, name in SPLITS:
        write_split(root / folder, images, name)
    write_aircraft(root / "fgvc_aircraft")
    write_imagenet(root)
    return root


@pytest.fixture
def data(whole_benchmark: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(whole_benchmark, tmp_path / "data"))


__all__ = ["nni"]
