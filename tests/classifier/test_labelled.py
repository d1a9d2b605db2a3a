"""Labelled pictures of a user become a task."""

import shutil
from pathlib import Path

from PIL import Image, ImageColor

from dpl_nas.classifier.labelled import labelled_task
from dpl_nas.tasks.image_files import ImageFiles


def test_a_folder_is_on_the_background_that_is_asked_for(
    image_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(image_folder, tmp_path / "task"))
    (folder / "task.yml").write_text("background: black\n")
    clear = folder / "train" / "grey" / "000.png"
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(clear)
    for asked, expected in ((None, "black"), ("white", "white"), ("red", "red")):
        task, _ = labelled_task(folder, None, class_names=None, template=None, background=asked)
        assert task.background == expected
        images = task.train
        assert isinstance(images, ImageFiles)
        row = next(each for each in range(30) if images.path(each) == str(clear))
        assert images.image(row).getpixel((0, 0)) == ImageColor.getrgb(expected)
