"""Subcommands that only look."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

import dpl_nas
from dpl_nas.experiments.loopback import node_options


def test_version(call) -> None:
    assert call("--version") == (0, f"dpl-nas {dpl_nas.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("run",),
        ("search",),
        ("train",),
        ("evaluate",),
        ("space",),
        ("space", "show"),
        ("space", "validate"),
        ("tasks",),
        ("tasks", "check"),
        ("tasks", "select"),
        ("mini",),
        ("mini", "pretrain"),
        ("mini", "gates"),
        ("nni", "preload"),
        ("nni", "worker"),
    ],
)
def test_help(call, arguments: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        outcome = call(*arguments, flag)
        assert outcome.code == 0
        assert "Usage: dpl-nas" in outcome.out


@pytest.mark.parametrize("arguments", [(), ("space",), ("mini",)])
def test_without_a_subcommand_the_help(call, arguments: tuple[str, ...]) -> None:
    outcome = call(*arguments)
    assert outcome.code == 2
    assert "Usage: dpl-nas" in outcome.out + outcome.err


def test_tasks(call) -> None:
    assert "mini/digits" in call("tasks").out
    known = call("tasks", "--json").json
    families = Counter(name.split("/")[0] for name in known)
    assert families == {"mini": 8, "pictures": 17, "glosses": 2, "coop": 15, "2sfs": 11}
    assert all(known.values())


def test_a_selection(call, whole_benchmark: Path) -> None:
    asked = ("tasks", "select", "--task", "coop/OxfordPets", "--data", whole_benchmark)
    found = call(*asked, "--shots", "4", "--seed", "7", "--json").json
    assert set(found) == {"train", "val"}
    assert len(found["train"]) == 16
    assert found["train"][0].startswith("red_pea/train_")
    assert len(found["val"]) == 12
    base = call(*asked, "--shots", "4", "--seed", "7", "--classes", "base", "--json").json
    assert base["train"] == [each for each in found["train"] if each[:3] in {"gre", "red"}]
    shown = call(*asked, "--shots", "1", "--seed", "7").out.splitlines()
    assert [line.split()[0] for line in shown] == ["train"] * 4 + ["val"] * 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--task", "coop/OxfordPets"), "give it with --data ROOT"),
        (("--task", "coop/ImageNet-A", "--data", "ROOT"), "is for tests only"),
        (("--task", "coop/OxfordPets", "--data", "ROOT", "--shots", "0"), "number of 1 or more"),
        (
            ("--task", "coop/OxfordPets", "--data", "ROOT", "--shots", "99"),
            "expected 99 shots a cl",
        ),
        (("--task", "mini/digits"), "are no files, so there are no paths"),
    ],
)
def test_selections_that_are_refused(
    call, whole_benchmark: Path, arguments: tuple[str, ...], words: str
) -> None:
    told = call(
        *("tasks", "select"),
        *(str(whole_benchmark) if each == "ROOT" else each for each in arguments),
    )
    assert told.code == 2
    assert words in told.err


def test_an_inventory(call, data: Path) -> None:
    (data / "dtd/images/red_pea/val_0.jpg").write_bytes(b"no image")
    (data / "eurosat").rename(data / "away")
    found = call("tasks", "check", "--data", data, "--json").json
    assert len(found) == 15
    assert found["coop/DescribableTextures"]["state"] == "damaged"
    assert found["coop/EuroSAT"]["missing"][0] == str(data / "eurosat/split_zhou_EuroSAT.json")
    assert found["coop/OxfordPets"]["found"] == {
        "classes": 4, "train": 24, "validation": 12, "test": 8
    }  # fmt: skip
    named = call("tasks", "check", "coop/DescribableTextures", "coop/EuroSAT", "--data", data)
    assert named.code == 1
    shown = named.out
    assert "coop/DescribableTextures   damaged   4 of 47" in shown
    assert "val_0.jpg is not a readable image" in shown
    assert f"coop/EuroSAT: missing: {data}/eurosat/2750" in shown
    everything = call("tasks", "check")
    assert everything.code == 0
    assert "ROOT/eurosat" in everything.out


def test_an_inventory_of_own_images(call, image_folder: Path, tmp_path: Path) -> None:
    found = call("tasks", "check", image_folder)
    assert (found.code, "complete         3      30            0     60" in found.out) == (0, True)
    own = Path(shutil.copytree(image_folder, tmp_path / "mine"))
    (own / "train/grey/005.jpg").write_text("no image")
    told = call("tasks", "check", own, image_folder, "--json")
    assert told.code == 1
    assert [each["state"] for each in told.json.values()] == ["damaged", "complete"]
    assert f"{own}: {own}/train/grey/005.jpg is not a readable" in call("tasks", "check", own).out
    assert call("tasks", "check", tmp_path / "none").code == 2


def test_spaces(call) -> None:
    assert "mini_clip" in call("space", "show").out
    assert set(call("space", "show", "--json").json) >= {"mini_clip", "clip_vit_b16"}


def test_a_space(call) -> None:
    shown = call("space", "show", "mini_clip")
    assert shown.code == 0
    assert "24 searched layers" in shown.out
    told = call("space", "show", "clip_vit_b16_paper", "--json").json
    assert told["towers"]["image"]["lengths"] == [0, 2, 4, 6]
    assert told["size"] == 4**24
    assert told["choices"] == 24


def test_a_budget(call, tmp_path: Path) -> None:
    told = "limit of at most 6 context vectors: 593,775 architectures fit, 3.1e-15 of the space"
    assert told in call("space", "show", "mini_clip_budget6").out
    assert (
        call("space", "validate", "mini_clip_budget6").out == f"mini_clip_budget6: valid; {told}\n"
    )
    data = call("space", "show", "mini_clip_budget6", "--json").json
    assert (data["max_context_vectors"], data["within_limits"]) == (6, 593775)
    assert data["share"] == data["within_limits"] / data["size"]
    assert call("space", "show", "mini_clip", "--json").json["share"] == 1
    file = tmp_path / "flops.yml"
    file.write_text("towers: {image: {layers: 0-11, lengths: 0-6}}\nmax_flops: 7e3\n")
    # One vector of the 12 layers, or none.
    assert (
        "at most 7,000 FLOPs an image (0.00015 of the image tower's own): 13 arch"
        in call("space", "show", file).out
    )


def test_valid_spaces(call) -> None:
    outcome = call("space", "validate", "mini_clip", "clip_vit_b16")
    assert outcome == (0, "mini_clip: valid\nclip_vit_b16: valid\n", "")


def test_every_problem_of_a_space_at_once(call, tmp_path: Path) -> None:
    data = {"towers": {"image": {"layers": [-1], "lengths": [1.5]}}, "shared": True}
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump(data))
    outcome = call("space", "validate", file, "mini_clip")
    assert outcome.code == 2
    assert outcome.out == "mini_clip: valid\n"
    problems = outcome.err.splitlines()
    assert len(problems) == 3
    assert all(line.startswith(f"{file}: ") for line in problems)
    told = call("space", "validate", file, "mini_clip", "no/such.yml", "--json")
    assert told.code == 2
    assert [report["valid"] for report in told.json.values()] == [False, True, False]
    assert len(told.json[str(file)]["problems"]) == 3


def test_preload(call) -> None:
    assert call("nni", "preload") == (0, f"{node_options()}\n", "")


def test_worker(call, tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    assert call("nni", "worker", folder) == (0, f"{folder}\n", "")
    assert (folder / "python").is_file()
    (folder / "python").write_text("mine")
    outcome = call("nni", "worker", folder)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {folder}/python was not written by dpl-nas nni worker")


def test_layers_that_the_backbone_does_not_have(call, tmp_path: Path) -> None:
    file = tmp_path / "deep.yml"
    file.write_text(
        "towers:\n  image: {layers: 0-13, lengths: 0-6}\n  text: {layers: [0, 12], lengths: 0-1}\n"
    )
    outcome = call("space", "validate", file)
    assert outcome.code == 2
    has = "expected layers 0 to 11, as many as mini-clip has"
    assert outcome.err == (
        f"{file}: towers.image.layers: {has} (found 12-13)\n"
        f"{file}: towers.text.layers: {has} (found 12)\n"
    )


def test_other_problems_do_not_hide_layers_or_the_backbone(call, tmp_path: Path) -> None:
    file = tmp_path / "deep.yml"
    rest = "lenghts: 3\ntowers: {image: {layers: 0-12, lengths: 0-6}}\n"
    file.write_text(rest)
    found = call("space", "validate", file).err.splitlines()
    assert [line.removeprefix(f"{file}: ").split(":")[0] for line in found] == [
        "unknown key lenghts",
        "towers.image.layers",
    ]
    file.write_text(f"backbone: {{model: mini-clipp}}\n{rest}")
    found = call("space", "validate", file).err.splitlines()
    assert len(found) == 2
    assert "backbone.model: mini-clipp cannot be the backbone" in found[1]


def test_a_tower_that_cannot_be_searched(call, tmp_path: Path) -> None:
    file = tmp_path / "resnet.yml"
    file.write_text("backbone: {model: RN50}\ntowers: {text: {layers: [0], lengths: [0, 1]}}\n")
    assert call("space", "validate", file).code == 0
    file.write_text("backbone: {model: RN50}\ntowers: {image: {layers: [0], lengths: [0, 1]}}\n")
    outcome = call("space", "validate", file)
    assert outcome.code == 2
    told = "expected no image tower for RN50, since its image tower is a ModifiedResNet"
    assert told in outcome.err
