"""The estimator: scikit-learn's conventions, kinds of pictures, and the Hub's layout."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import (
    check_estimator_cloneable,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    estimator_checks_generator,
)

from dpl_nas import PromptClassifier
from dpl_nas.backbone import Backbone
from dpl_nas.classifier.saved import SavedClassifier
from dpl_nas.errors import CheckpointError, ConfigError, OutputError, TaskError
from dpl_nas.space import Space

pytestmark = pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")


def made(space: Space, **parameters: Any) -> PromptClassifier:
    return PromptClassifier(**{"preset": "quick", "shots": 6, "space": space, **parameters})


@pytest.fixture(scope="module")
def paths(image_folder: Path) -> tuple[list[str], list[str]]:
    files = sorted((image_folder / "train").rglob("*.png"))
    return [str(file) for file in files], [file.parent.name for file in files]


@pytest.fixture(scope="module")
def fitted(short: Path, small_space: Space, paths: tuple[list[str], list[str]]) -> PromptClassifier:
    return made(small_space, strategy=str(short)).fit(*paths)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A strategy whose recipe takes a moment."""
    file = tmp_path_factory.mktemp("strategies") / "short.yml"
    file.write_text("strategy: random\nbudget: {trials: 2}\ntrain: {epochs: 2, batch_size: 8}\n")
    return file


def test_it_predicts_labels_and_probabilities(fitted: PromptClassifier, image_folder: Path) -> None:
    files = sorted((image_folder / "test").rglob("*.png"))
    labels = [file.parent.name for file in files]
    assert fitted.classes_.tolist() == ["dark_square", "grey", "white"]
    assert fitted.score(files, labels) > 0.8
    shares = fitted.predict_proba(files)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_array_equal(
        fitted.predict(files), fitted.classes_[fitted.decision_function(files).argmax(axis=1)]
    )
    board = fitted.leaderboard_
    assert board["name"][0] == fitted.saved_.metadata.chosen
    assert {"accuracy", "loss", "vectors", "seconds"} <= set(board.columns)


def test_pictures_of_all_kinds_are_the_same(
    fitted: PromptClassifier, image_folder: Path, tmp_path: Path
) -> None:
    files = sorted((image_folder / "test" / "grey").glob("*.png"))[:3]
    expected = fitted.predict_proba(files)
    images = [Image.open(file).convert("RGB") for file in files]
    arrays = np.stack([np.asarray(each) for each in images])
    tensors = torch.from_numpy(arrays).permute(0, 3, 1, 2)
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    dataset = torch.utils.data.TensorDataset(tensors, torch.zeros(3))
    forms = [
        [str(file) for file in files],
        images,
        arrays,
        list(arrays),
        tensors,
        pd.DataFrame({"path": [str(file) for file in files], "other": 1}),
        pd.Series([str(file) for file in files]),
        tmp_path,
        dataset,
    ]
    for form in forms:
        np.testing.assert_allclose(fitted.predict_proba(form), expected, atol=1e-6)
    assert fitted.predict_proba([]).shape == (0, 3)


def test_one_picture_is_no_list(fitted: PromptClassifier) -> None:
    for one in (
        np.zeros((30, 40, 3), np.uint8),
        np.zeros((30, 40), np.uint8),
        torch.zeros(3, 30, 40),
        torch.zeros(30, 40, 3),
    ):
        with pytest.raises(
            ConfigError, match=r"several pictures, found one of .* give \[picture\]"
        ):
            fitted.predict(one)
    assert fitted.predict([np.zeros((30, 40, 3), np.uint8)]).shape == (1,)
    # Grey ones are no single picture.
    assert fitted.predict(np.zeros((2, 30, 40), np.uint8)).shape == (2,)
    assert fitted.predict(list(np.zeros((2, 30, 4), np.uint8))).shape == (2,)


def test_files_of_a_dataset_are_read_as_files(
    fitted: PromptClassifier, small_space: Space, short: Path, image_folder: Path, tmp_path: Path
) -> None:
    from torchvision.datasets import ImageFolder

    folder = Path(shutil.copytree(image_folder / "train", tmp_path / "train"))
    # Behind its transparent pixels it is black, and on its background white.
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(folder / "grey" / "000.png")
    images = ImageFolder(str(folder))
    files = [path for path, _ in images.samples]
    expected = fitted.predict_proba(files)
    np.testing.assert_array_equal(fitted.predict_proba(images), expected)
    some = torch.utils.data.Subset(images, [10, 0])
    np.testing.assert_allclose(fitted.predict_proba(some), expected[[10, 0]], atol=1e-6)
    both = torch.utils.data.ConcatDataset([images, some])
    np.testing.assert_allclose(fitted.predict_proba(both)[-2], expected[10], atol=1e-6)
    # It has labels, too.
    found = made(small_space, strategy=str(short)).fit(images)
    assert found.classes_.tolist() == ["dark_square", "grey", "white"]


def test_a_folder_is_enough(small_space: Space, image_folder: Path, short: Path) -> None:
    folder = image_folder / "train"
    found = made(small_space, strategy=str(short)).fit(folder)
    assert found.classes_.tolist() == ["dark_square", "grey", "white"]
    assert found.saved_.metadata.class_names == ("dark square", "grey", "white")
    assert found.saved_.metadata.images == 18


def test_labels_of_any_kind_and_two_classes(
    small_space: Space, short: Path, paths: tuple[list[str], list[str]]
) -> None:
    files, names = paths
    two = [at for at, name in enumerate(names) if name != "grey"]
    numbers = [7 if names[at] == "white" else 3 for at in two]
    X = [files[at] for at in two]  # noqa: N806
    found = made(small_space, strategy=str(short), class_names={7: "white", 3: "dark"})
    found.fit(X, numbers)
    assert found.classes_.tolist() == [3, 7]
    assert found.saved_.metadata.class_names == ("dark", "white")
    decided = found.decision_function(X)
    assert decided.shape == (20,)
    np.testing.assert_array_equal(found.predict(X) == 7, decided > 0)


def test_labels_come_back_as_they_are(
    small_space: Space, short: Path, paths: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    files, names = paths
    truth = np.array([[name == "white"] for name in names])
    found = made(small_space, strategy=str(short)).fit(files, truth)
    assert found.classes_.dtype == bool
    found.save_pretrained(tmp_path)
    again = PromptClassifier.from_pretrained(tmp_path)
    assert again.classes_.dtype == bool
    assert again.score(files, truth[:, 0]) == found.score(files, truth[:, 0])
    # Another fit may have other classes; what it was fitted on stays.
    assert again.get_params()["space"] == small_space
    again.set_params(preset="quick", strategy=str(short)).fit(files, names)
    assert again.classes_.tolist() == ["dark_square", "grey", "white"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([None] * 29 + ["a"], "should be texts, whole numbers or booleans, found None"),
        ([0.5] * 29 + [1.0], "should be texts, whole numbers or booleans, found 0.5"),
        ([float("nan")] * 29 + [1.0], "found nan"),
        ([1] * 29 + ["a"], "labels should be all of one kind"),
        ([True] * 29 + [2], "labels should be all of one kind"),
        ([2**70] * 29 + [1], "whole numbers of at most 64 bits"),
        (np.zeros((30, 2)), r"found labels of shape \(30, 2\)"),
        (7, "expected a list with a label for each picture, found 7"),
    ],
)
def test_labels_that_cannot_be_kept_are_refused(
    small_space: Space, paths: tuple[list[str], list[str]], labels: Any, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        made(small_space).fit(paths[0], labels)


@pytest.mark.slow
def test_it_is_an_estimator(
    small_space: Space, short: Path, paths: tuple[list[str], list[str]]
) -> None:
    files, names = (np.array(each) for each in paths)
    estimator = made(small_space, strategy=str(short))
    assert clone(estimator).get_params() == estimator.get_params()
    assert cross_val_score(estimator, files, names, cv=2).mean() > 0.6
    search = GridSearchCV(estimator, {"shots": [1, 5]}, cv=2).fit(list(files), list(names))
    assert search.best_params_["shots"] in {1, 5}
    pipeline = Pipeline([("classifier", estimator)]).fit(list(files), list(names))
    assert pipeline.predict(list(files[:2])).shape == (2,)
    with pytest.raises(NotFittedError):
        clone(estimator).predict(files)


@pytest.mark.parametrize(
    "check",
    [
        check_estimator_cloneable,
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
    ],
)
def test_checks_of_scikit_learn_that_need_no_table(check: Any) -> None:
    # The others fit tables of numbers, which are no pictures.
    check("PromptClassifier", PromptClassifier())


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_checks_that_scikit_learn_itself_chooses() -> None:
    checks = list(estimator_checks_generator(PromptClassifier()))
    assert checks
    for estimator, check in checks:
        check(estimator)


@pytest.mark.slow
def test_balance_reaches_training_and_choice(
    small_space: Space, short: Path, paths: tuple[list[str], list[str]]
) -> None:
    files, names = paths
    few = [at for at, name in enumerate(names) if name != "grey" or at % 5 == 0]
    X, y = [files[at] for at in few], [names[at] for at in few]  # noqa: N806
    found = [
        made(small_space, strategy=str(short), balance=each).fit(X, y)
        for each in ("none", "loss", "batches")
    ]
    boards = [each.leaderboard_.set_index("name")["loss"] for each in found]
    plain, loss, batches = (each["linear probe, 0.001"] for each in boards)
    assert plain != loss == batches
    design = next(name for name in boards[0].index if " x " in name and "pictures" not in name)
    assert len({each[design] for each in boards}) == 3
    with pytest.raises(ConfigError, match="balance"):
        made(small_space, strategy=str(short), balance="some").fit(X, y)


def test_it_is_saved_and_shared(
    fitted: PromptClassifier, small_backbone: Backbone, image_folder: Path, tmp_path: Path
) -> None:
    files = sorted((image_folder / "test").rglob("*.png"))[::9]
    fitted.save_pretrained(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 30_000
    again = PromptClassifier.from_pretrained(tmp_path)
    np.testing.assert_allclose(again.predict_proba(files), fitted.predict_proba(files))
    assert again.classes_.tolist() == fitted.classes_.tolist()
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: dpl_nas\n")
    assert "`dark_square`, `grey`, `white`." in card
    assert f"`{small_backbone.fingerprint}`" in card
    content = json.loads((tmp_path / "config.json").read_text())
    content.pop("sha256")
    content["fingerprint"] = "0" * 16
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"was fitted on .* weights 0000000000000000, found"):
        PromptClassifier.from_pretrained(tmp_path)


def test_damage_is_told(fitted: PromptClassifier, tmp_path: Path) -> None:
    fitted.save_pretrained(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-9] ^= 1
    for content in (whole[:-20], bytes(flipped), b""):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged or of another .*: restore it, or fit"):
            SavedClassifier.load(tmp_path)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"is missing or damaged \(.* does not exist\)"):
        SavedClassifier.load(tmp_path)
    file.write_bytes(whole)
    settings = json.loads(config.read_text())
    for key in ("sha256", "weights"):
        settings.pop(key)
    config.write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="its SHA-256 is not the one in"):
        SavedClassifier.load(tmp_path)
    config.unlink()
    with pytest.raises(CheckpointError, match="there is no classifier in"):
        SavedClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", ["a", "b"]),
        ("labels", ["a", "b", "a"]),
        ("labels", ["a", "b", 1]),
        ("labels", ["a", "b", "\ud800"]),
        ("labels", [1, 2, 2**70]),
        ("labels", []),
        ("template", "no hole"),
        ("background", "nocolour"),
        ("lengths", {"image": [10**12]}),
        ("lengths", {"image": [4, 4]}),
        ("temperature", 1e-320),
        ("temperature", 1e9),
        ("confidences", [-5, 99]),
        ("confidences", []),
        ("shots", -4),
        ("images", 10**12),
        ("leaderboard", []),
    ],
)
def test_metadata_that_no_fit_has_written_are_refused(
    fitted: PromptClassifier, tmp_path: Path, key: str, value: Any
) -> None:
    fitted.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    settings = json.loads(config.read_text())
    settings.pop("sha256")
    config.write_text(json.dumps(settings | {key: value}))
    with pytest.raises(CheckpointError, match=f"{key}|does not fit|expected a name for each"):
        SavedClassifier.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"head.bias": torch.zeros(2)},
        {"head.bias": torch.tensor(0.0)},
        {"head.bias": torch.full((3,), float("nan"))},
        {"head.bias": torch.full((3,), 1e38)},
        {"head.bias": torch.zeros(3, dtype=torch.float64)},
        {"head.weights": torch.zeros(3, 5)},
        {"head.weights": torch.zeros(3)},
        {"contexts.image/0": torch.zeros(2, 5)},
        {"contexts.foo": torch.zeros(2)},
        {"other": torch.zeros(2, 2)},
    ],
)
def test_numbers_that_no_fit_has_written_are_refused(
    fitted: PromptClassifier, tmp_path: Path, changes: dict[str, torch.Tensor]
) -> None:
    fitted.save_pretrained(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    content = save(load(file.read_bytes()) | changes)
    file.write_bytes(content)
    settings = json.loads(config.read_text())
    settings.pop("sha256")
    settings["weights"] = hashlib.sha256(content).hexdigest()
    config.write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"(does|do) not fit .*: restore it, or fit again"):
        PromptClassifier.from_pretrained(tmp_path)


def test_what_is_not_there_is_told(tmp_path: Path, fitted: PromptClassifier) -> None:
    for missing in (tmp_path / "none", "./none", "~/none/of/these"):
        with pytest.raises(CheckpointError, match=r"^there is no folder .*none.*: give the folder"):
            PromptClassifier.from_pretrained(missing)
    with pytest.raises(CheckpointError, match="cannot be read from the Hub"):
        PromptClassifier.from_pretrained("nobody/none", local_files_only=True)
    fitted.save_pretrained(tmp_path / "there")
    with pytest.raises(ConfigError, match=r"no option 'shotz', but .* others to set_params"):
        PromptClassifier.from_pretrained(tmp_path / "there", shotz=3)
    with pytest.raises(NotFittedError):
        PromptClassifier().save_pretrained(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, not a folder: use another path"):
        fitted.save_pretrained(tmp_path / "file")


def test_what_is_wrong_is_told(
    small_space: Space, paths: tuple[list[str], list[str]], fitted: PromptClassifier
) -> None:
    files, names = paths
    estimator = made(small_space)
    for wrong, error, told in (
        ((files, names[:-1]), TaskError, "found 30 pictures and 29 labels"),
        ((files, ["one"] * 30), TaskError, "expected two classes or more, found 1"),
        ((files, None), ConfigError, "expected labels, found none"),
        ((7, names), ConfigError, "expected pictures: paths, .* found 7"),
        ((Image.new("RGB", (4, 4)), ["a"]), ConfigError, r"found one: give \[picture\]"),
    ):
        with pytest.raises(error, match=told):
            estimator.fit(*wrong)
    with pytest.raises(ConfigError, match="class_names should be different"):
        made(small_space, class_names=["a", "a", "b"]).fit(files, names)
    with pytest.raises(ConfigError, match="class_names: expected 3 texts"):
        made(small_space, class_names=["a"]).fit(files, names)
    with pytest.raises(ConfigError, match=r"names for 'gray', which are no labels: they are 'dar"):
        made(small_space, class_names={"gray": "grey"}).fit(files, names)
    with pytest.raises(ConfigError, match="background: expected the name of a colour"):
        made(small_space, background="nocolour").fit(files, names)
    with pytest.raises(
        ConfigError, match=r"^seed should be a whole number of 0 or more, found 'x'"
    ):
        made(small_space, seed="x").fit(files, names)
    with pytest.raises(TaskError, match=r"uint8 or of floats, found float64 of shape \(4, 4, 2\)"):
        fitted.predict([np.zeros((4, 4, 2))])
    with pytest.raises(TaskError, match="is not a readable image"):
        fitted.predict(["nowhere.png"])
    with pytest.raises(ConfigError, match="a data frame with a column path or"):
        fitted.predict(pd.DataFrame({"a": [1], "b": [2]}))
