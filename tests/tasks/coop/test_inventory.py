import shutil
from pathlib import Path

import pytest

from dpl_nas.errors import DplWarning, TaskError
from dpl_nas.tasks.coop.inventory import take_inventory
from dpl_nas.tasks.coop.table import DATASETS, Figures
from dpl_nas.tasks.inventory import take_inventories


def test_nothing_is_there(tmp_path: Path) -> None:
    for root in (None, tmp_path):
        found = take_inventory(root)
        assert [each.task for each in found] == [f"coop/{name}" for name in DATASETS]
        assert {each.state for each in found} == {"absent"}
        pets = next(each for each in found if each.task == "coop/OxfordPets")
        place = f"{'ROOT' if root is None else root}/oxford_pets"
        assert pets.missing == (f"{place}/split_zhou_OxfordPets.json", f"{place}/images")
    assert not list(tmp_path.iterdir())


def test_miniatures_have_other_figures(whole_benchmark: Path) -> None:
    found = {each.task: each for each in take_inventory(whole_benchmark)}
    assert {each.state for each in found.values()} == {"other figures"}
    assert found["coop/UCF101"].found == Figures(4, 24, 12, 8)
    assert found["coop/UCF101"].published == Figures(101, 7639, 1898, 3783)
    assert found["coop/ImageNet"].found == Figures(5, 30, 0, 10)
    assert found["coop/ImageNet-R"].as_dict()["found"]["test"] == 4


def test_published_figures_are_complete(
    whole_benchmark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from dpl_nas.tasks.coop import inventory

    small = dataclasses.replace(DATASETS["UCF101"], figures=Figures(4, 24, 12, 8))
    monkeypatch.setattr(inventory, "DATASETS", {"UCF101": small})
    assert take_inventory(whole_benchmark)[0].state == "complete"


def test_what_is_wrong_is_told(data: Path) -> None:
    (data / "eurosat/2750/red_pea/test_0.jpg").unlink()
    (data / "dtd/images/red_pea/val_0.jpg").write_bytes(b"\xff\xd8 no image")
    (data / "sun397/split_zhou_SUN397.json").write_text("{")
    (data / "ucf101/split_zhou_UCF101.json").unlink()
    names = ["coop/EuroSAT", "DescribableTextures", "coop/SUN397", "coop/UCF101"]
    found = take_inventory(data, names)
    assert [each.state for each in found] == ["incomplete", "damaged", "damaged", "incomplete"]
    assert found[0].missing == (str(data / "eurosat/2750/red_pea/test_0.jpg"),)
    assert len(found[1].unreadable) == 1
    assert "red_pea/val_0.jpg is not a readable image" in found[1].unreadable[0]
    assert "is not a readable JSON file" in found[2].problem
    assert found[3].missing == (str(data / "ucf101/split_zhou_UCF101.json"),)
    # Whether they can be read is not seen without reading them.
    assert take_inventory(data, names, decode=False)[1].state == "other figures"


def test_own_images(whole_benchmark: Path, image_folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(image_folder, own)
    names = [str(own), "coop/UCF101"]
    found = take_inventories(whole_benchmark, names)
    assert [(each.task, each.state) for each in found] == [
        (str(own), "complete"),
        ("coop/UCF101", "other figures"),
    ]
    assert (found[0].found, found[0].published) == (Figures(3, 30, 0, 60), None)
    assert take_inventories(whole_benchmark, names[1:]) == found[1:]
    # No seed need draw it.
    (own / "train/grey/005.jpg").write_text("no image")
    (own / "test/grey/000.png").write_bytes(b"")
    damaged = take_inventories(None, [str(own)])[0]
    assert (damaged.state, damaged.usable) == ("damaged", False)
    assert [each.split(" is not")[0] for each in damaged.unreadable] == [
        f"{own}/train/grey/005.jpg",
        f"{own}/test/grey/000.png",
    ]
    assert take_inventories(None, [str(own)], decode=False)[0].usable
    (own / "test/grey").rename(own / "test/gray")
    problem = take_inventories(None, [str(own)])[0]
    assert (problem.state, problem.found) == ("damaged", None)
    assert "must have the same classes" in problem.problem


def test_own_lists(image_folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(image_folder, own)
    files = sorted(own.rglob("*.png"))
    lines = [f"{file.relative_to(own)},{file.parent.name},{file.parts[-3]}" for file in files]
    (own / "list.csv").write_text("\n".join(["path,label,split", *lines]))
    files[0].unlink()
    found = take_inventories(None, [str(own / "list.csv")])[0]
    assert (found.state, found.missing) == ("incomplete", (str(files[0]),))
    (own / "list.csv").write_text("path,label,split\n" + "\n".join(lines[:2]))
    assert take_inventories(None, [str(own / "list.csv")])[0].state == "damaged"


def test_copies_of_own_images_are_told(image_folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(image_folder, own)
    shutil.copy(own / "train/grey/000.png", own / "test/grey/x.png")
    with pytest.warns(DplWarning, match="test images are trained on"):
        assert take_inventories(None, [str(own)])[0].usable


def test_unknown(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"did you mean coop/EuroSAT\?"):
        take_inventory(tmp_path, ["coop/Eurosat"])
    for name in ("pictures/vehicles", "2sfs/EuroSAT", "./flowers"):
        with pytest.raises(TaskError, match=f"only datasets of the .*, found '{name}'"):
            take_inventory(tmp_path, [name])
    with pytest.raises(TaskError, match="there is no folder"):
        take_inventory(tmp_path / "none")
