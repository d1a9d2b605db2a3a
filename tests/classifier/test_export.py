"""Exported files: as the classifier, in an environment that has nothing of this package."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dpl_nas.backbone import Backbone
from dpl_nas.classifier import export as module
from dpl_nas.classifier.candidates import Candidate, make_candidates
from dpl_nas.classifier.evidence import cross_fit
from dpl_nas.classifier.export import OPSET, ExportFormat, export
from dpl_nas.classifier.fitting import Fit
from dpl_nas.classifier.saved import SavedClassifier
from dpl_nas.config import RunConfig
from dpl_nas.errors import ConfigError, OutputError
from dpl_nas.training.problem import Problem

pytestmark = pytest.mark.filterwarnings("ignore::dpl_nas.errors.DplWarning")

#: Reads a file as its metadata says, with nothing but these three packages.
SCRIPT = """
import json, sys
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
told = json.loads(session.get_modelmeta().custom_metadata_map["dpl_nas"])
how = told["preprocessing"]
size, images = how["size"], []
for path in sys.argv[2:]:
    picture = Image.open(path).convert("RGB")
    shorter = min(picture.size)
    wide, high = (size * each // shorter for each in picture.size)
    resized = picture.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    pixels = np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.float32)
    pixels = (pixels / 255 - np.array(how["mean"], "f4")) / np.array(how["std"], "f4")
    images.append(pixels.transpose(2, 0, 1))
found = session.run(None, {"images": np.stack(images)})[0]
modules = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "dpl_nas", "nni"})
print(json.dumps({"labels": told["labels"], "rows": found.tolist(), "modules": modules}))
"""


@pytest.fixture(scope="module", params=["plain", "prompted"])
def saved(request: pytest.FixtureRequest, small_space: Any, image_folder: Path) -> SavedClassifier:
    """A classifier without context vectors, and one with some in the image tower."""
    config = RunConfig.model_validate(
        {
            "task": str(image_folder),
            "space": small_space.model_dump(mode="json"),
            "strategy": {
                "name": "quick",
                "strategy": "random",
                "train": {"epochs": 2, "batch_size": 6},
            },
            "shots": 4,
        }
    )
    problem = Problem.of_run(config)
    design = small_space.uniform(2) if request.param == "prompted" else None
    candidate = Candidate(request.param, design, strength=1e-3)
    rows = problem.shot_rows
    (evidence,) = cross_fit(problem, [candidate], rows)
    found = Fit(
        problem,
        make_candidates(problem, [candidate], rows)[0],
        (evidence,),
        evidence,
        rows,
        0.0,
    )
    return SavedClassifier.of(found, problem.task.class_labels, "white")


@pytest.fixture(scope="module")
def files(image_folder: Path) -> list[Path]:
    return sorted((image_folder / "test").rglob("*.png"))[::8]


@pytest.fixture(scope="module")
def pictures(files: list[Path]) -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in files]


@pytest.mark.slow
def test_onnx_runs_where_there_is_nothing_else(
    saved: SavedClassifier,
    small_backbone: Backbone,
    files: list[Path],
    pictures: list[Image.Image],
    bare: Path,
    tmp_path: Path,
) -> None:
    classifier = saved.classifier(small_backbone)
    file = tmp_path / "classifier.onnx"
    assert export(classifier, saved.metadata, file, "onnx", pictures) < 1e-5
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    start = f"import sys; sys.path.append({str(bare)!r})\n"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + SCRIPT, str(file), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["modules"] == []
    assert found["labels"] == list(saved.metadata.labels)
    images = torch.stack([small_backbone.preprocess(each) for each in pictures])
    expected = classifier.probabilities(images).numpy()
    np.testing.assert_allclose(np.array(found["rows"]), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("from_bytes", [False, True])
def test_files_are_as_the_classifier(
    saved: SavedClassifier,
    small_backbone: Backbone,
    pictures: list[Image.Image],
    tmp_path: Path,
    kind: ExportFormat,
    from_bytes: bool,
) -> None:
    classifier = saved.classifier(small_backbone)
    file = tmp_path / f"classifier.{kind}"
    difference = export(classifier, saved.metadata, file, kind, pictures, from_bytes=from_bytes)
    assert difference < 1e-4
    if kind == "pt2":
        extra = {"dpl_nas": ""}
        program = torch.export.load(file, extra_files=extra)
        assert json.loads(extra["dpl_nas"])["labels"] == list(saved.metadata.labels)
        # Nothing of the text tower is in it.
        names = [*program.state_dict, *program.constants]
        assert not [name for name in names if "token_embedding" in name]
        return
    import onnx

    model = onnx.load(file)
    assert model.opset_import[0].version == OPSET
    (given,) = model.graph.input
    kinds = {True: onnx.TensorProto.UINT8, False: onnx.TensorProto.FLOAT}
    assert given.type.tensor_type.elem_type == kinds[from_bytes]
    assert given.type.tensor_type.shape.dim[0].dim_param


def test_what_differs_is_not_kept(
    saved: SavedClassifier,
    small_backbone: Backbone,
    pictures: list[Image.Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = saved.classifier(small_backbone)
    file = tmp_path / "classifier.pt2"
    monkeypatch.setattr(module, "_TOLERANCE", -1.0)
    with pytest.raises(OutputError, match="so it is not kept: use another --format"):
        export(classifier, saved.metadata, file, "pt2", pictures)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(module, "_NEEDED", ("onnx", "nowhere_to_be_found"))
    with pytest.raises(ConfigError, match=r"needs nowhere_to_be_found: install them with pip"):
        export(classifier, saved.metadata, tmp_path / "c.onnx", "onnx", pictures)


def _files_of(name: str, seen: set[str]) -> Iterator[Path]:
    """The top folders and modules of a package and of what it requires."""
    if name in seen:
        return
    seen.add(name)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for file in found.files or ():
        if not str(file).startswith(".."):
            yield Path(str(found.locate_file(file.parts[0])))
    for each in found.requires or ():
        if "extra ==" not in each:
            yield from _files_of(re.split(r"[^A-Za-z0-9_.-]", each)[0], seen)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with onnxruntime, numpy and pillow, and what these require."""
    folder = tmp_path_factory.mktemp("bare")
    seen: set[str] = set()
    for name in ("onnxruntime", "numpy", "pillow"):
        for path in set(_files_of(name, seen)):
            target = folder / path.name
            if path.exists() and not target.exists():
                target.symlink_to(path)
    return folder
