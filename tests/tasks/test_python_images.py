"""Tasks from Python: torchvision's datasets, and any sequences of (image, label)."""

import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dpl_nas
from dpl_nas.errors import TaskError
from dpl_nas.tasks import check_images, few_shot_split, make_task

NAMES = ("dark_square", "grey", "white")


def test_a_dataset_of_torchvision(image_folder: Path) -> None:
    from torchvision.datasets import ImageFolder

    train, test = (ImageFolder(str(image_folder / part)) for part in ("train", "test"))
    task = make_task(train, test, template="a photo of a {} thing.", augmentation="none")
    own = dpl_nas.load_task(image_folder)
    assert (task.class_names, task.template) == (own.class_names, own.template)
    assert list(task.test.labels) == list(own.test.labels)
    assert few_shot_split(task, 4, 1) == few_shot_split(own, 4, 1)
    assert task.train.image(7).tobytes() == own.train.image(7).tobytes()
    check_images(task, range(30))
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own
    assert again.train.labels == task.train.labels
    some = torch.utils.data.Subset(train, [0, 12, 25])
    assert make_task(some, test, class_names=NAMES).train.labels == [0, 1, 2]


def test_files_of_torchvision_are_read_as_files(image_folder: Path, tmp_path: Path) -> None:
    """Its loader shows what is behind a transparent pixel."""
    from torchvision.datasets import ImageFolder

    folder = Path(shutil.copytree(image_folder / "train", tmp_path / "train"))
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.save(folder / "grey" / "000.png")
    row = 10
    images = ImageFolder(str(folder))
    some = torch.utils.data.Subset(images, [row, 0, 29])
    task = make_task(images, some, background="#0000ff")
    assert images[row][0].getpixel((0, 0)) == RED
    for found in (task.train.image(row), task.test.image(0)):
        assert found.getpixel((0, 0)) == (0, 0, 255)
    check_images(task, range(30))
    assert pickle.loads(pickle.dumps(task)).train.image(row).size == (8, 8)  # noqa: S301
    turned = ImageFolder(str(folder), target_transform=lambda label: 2 - label)
    assert make_task(turned, turned, class_names=NAMES).train.labels[0] == 2
    check_images(make_task(turned, turned, class_names=NAMES), range(30))
    # What somebody makes of the images is theirs.
    small = ImageFolder(str(folder), transform=lambda image: image.resize((3, 3)))
    assert make_task(small, small).train.image(row).size == (3, 3)

    class Darker(ImageFolder):
        def __getitem__(self, index: int) -> Any:
            image, label = super().__getitem__(index)
            return image.point(lambda value: value // 2), label

    dark = Darker(str(folder))
    assert make_task(dark, dark).train.image(row).getpixel((0, 0)) == (127, 0, 0)


def test_labels_are_not_decoded_for() -> None:
    class Dataset:
        targets = torch.tensor([0, 1, 1])
        classes = ("a_b", "c")

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            raise AssertionError("nobody asked")

    task = make_task(Dataset(), Dataset())
    assert (task.train.labels, task.class_names) == ([0, 1, 1], ("a b", "c"))
    with pytest.raises(TaskError, match=r"train: item 0 should be a pair .*nobody asked"):
        check_images(task, [0], test=False)


def encoded() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(stream, "PNG")
    return stream.getvalue()


RED = (255, 0, 0)


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("RGB", (4, 4), "red"), RED),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), RED),
        (Image.new("P", (4, 4)), (0, 0, 0)),
        (np.full((4, 4), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 4, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((4, 4, 3), RED, np.uint8), RED),
        (np.full((4, 4, 4), (*RED, 255), np.uint8), RED),
        (np.full((4, 4, 3), 0.2), (51, 51, 51)),
        (torch.tensor(RED, dtype=torch.uint8)[:, None, None].expand(3, 4, 4), RED),
        (torch.ones(1, 4, 4), (255, 255, 255)),
        (encoded(), RED),
    ],
)
def test_kinds_of_images(image: Any, colour: tuple[int, int, int]) -> None:
    items = [(image, "a"), (image, "b")]
    task = make_task(items, items)
    check_images(task, [0, 1])
    assert task.train.image(0).size == (4, 4)
    assert task.train.image(0).getpixel((0, 0)) == colour


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            np.full((4, 4, 3), -1.5),
            "floats from -1.5 to -1.5, of which 0 to 1 .*without transforms",
        ),
        (np.full((4, 4, 3), np.nan), "floats from nan"),
        (np.zeros((4, 4, 3), np.int64), "channels of uint8 or of floats, found int64 of shape"),
        (np.zeros((3, 4, 4), np.uint8)[:, :0], "found uint8 of shape"),
        (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4 channels"),
        (torch.zeros(2, 3, 4, 4), "found float32 of shape"),
        (b"no image", "is not a readable image"),
        ("/no/such/file.png", "it does not exist"),
        (None, "an image of Pillow's, a path, an array or a tensor, found NoneType"),
    ],
)
def test_images_that_are_refused(image: Any, words: str) -> None:
    items = [(image, 0), (image, 1)]
    with pytest.raises(TaskError, match=words):
        check_images(make_task(items, items, class_names=("a", "b")), [1])


def test_paths_of_files(image_folder: Path) -> None:
    items = [(file, file.parent.name) for file in sorted((image_folder / "train").rglob("*.png"))]
    task = make_task(items, items, name="mine")
    assert task.class_names == ("dark square", "grey", "white")
    check_images(task, range(30))


@pytest.mark.parametrize(
    ("train", "names", "words"),
    [
        (iter([]), None, "train should be a sequence"),
        ([(1,)], ("a", "b"), "item 0 should be a pair of image and label"),
        ([(1, 0.5)], ("a", "b"), "should be a whole number or a name, found 0.5"),
        ([(1, 0), (1, "a")], None, "all whole numbers or all names, found both"),
        ([(1, 0), (1, 1)], None, "name the classes with class_names"),
        ([(1, 0), (1, 2)], ("a", "b"), "one of 2 classes, 'a', 'b', found 2"),
        ([(1, 0), (1, -1)], ("a", "b"), "found -1"),
        ([(1, "a"), (1, "c")], ("a", "b"), "found 'c'"),
        ([(1, 0)], ("a b", "a_b"), "the same name twice, 'a b'"),
        ([(1, 0)], ("a",), "two names or more, found"),
        (None, ("a", "b"), "train should be a sequence of .* found NoneType"),
        ([(1, 0)], ("a", " "), "a class has an empty name"),
    ],
)
def test_sequences_that_are_refused(train: Any, names: Any, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        make_task(train, train, class_names=names)


def test_settings_that_are_refused() -> None:
    items = [(1, 0), (1, 1)]
    with pytest.raises(TaskError, match=r"expected the name of a colour.* found 'none'"):
        make_task(items, items, class_names=("a", "b"), background="none")
    with pytest.raises(TaskError, match="the name of the task must be UTF-8"):
        make_task(items, items, class_names=("a", "b"), name="a\nb")


def test_labels_that_disagree_are_told() -> None:
    class Dataset(list[Any]):
        targets = (1, 1)

    image = np.zeros((4, 4), np.uint8)
    task = make_task(Dataset([(image, 0), (image, 1)]), [(image, 0)], class_names=("a", "b"))
    check_images(task, [1], test=False)
    with pytest.raises(TaskError, match=r"image 0 has the label 0, but .* list of labels says 1"):
        check_images(task, [0], test=False)


def test_it_is_searched_and_tested(small_space: Any, small_backbone: Any) -> None:
    images = {"dark": 20, "light": 230}
    train = [(np.full((24, 24, 3), shade + number, np.uint8), name)
             for name, shade in images.items() for number in range(6)]  # fmt: skip
    task = make_task(train, train[::2], validation=train[1::2], augmentation="none")
    prompts = dpl_nas.train(
        small_space.uniform(2), small_space, task, shots=2, backbone=small_backbone
    )
    assert dpl_nas.evaluate(prompts, task, backbone=small_backbone).images == 6
