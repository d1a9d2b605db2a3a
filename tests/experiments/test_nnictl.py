"""A real experiment with nnictl, from create to DONE, kept on 127.0.0.1."""

import json
import urllib.error
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
EPOCHS = 2


@pytest.fixture
def experiment(experiment_of, mini_weights: Path):
    made = experiment_of("dpl_darts.yml")
    made.settings["searchSpace"] = {
        "task": {"_type": "choice", "_value": ["mini/digits"]},
        "seed": {"_type": "choice", "_value": [1]},
    }
    made.settings["trialCommand"] += (
        " --shots 4 search.epochs=2 train.epochs=1 search.early_stop=null search.portfolio=0 "
        f"space.backbone.pretrained={mini_weights}"
    )
    made.settings["trialCodeDirectory"] = str(REPOSITORY)
    made.settings["maxTrialNumber"] = 1
    made.create()
    return made


def test_from_create_to_done(experiment, tmp_path: Path) -> None:
    assert experiment.servers() == {experiment.port: {"127.0.0.1"}}
    status = experiment.wait()
    logs = [path.read_text() for path in tmp_path.rglob("stderr")]
    assert status == "DONE", logs

    (trial,) = experiment.get("trial-jobs")
    assert trial["status"] == "SUCCEEDED", logs
    metrics = experiment.get("metric-data")
    intermediate = [
        json.loads(json.loads(metric["data"]))
        for metric in metrics
        if metric["type"] == "PERIODICAL"
    ]
    assert len(intermediate) == EPOCHS
    assert all(0 <= accuracy <= 1 for accuracy in intermediate)
    (final,) = [
        json.loads(json.loads(metric["data"])) for metric in metrics if metric["type"] == "FINAL"
    ]
    assert set(final) == {"default", "macro_f1", "manual", "zero_shot", "lengths", "parameters"}
    assert final["parameters"] == "seed=1 task=mini/digits"
    (saved,) = tmp_path.rglob("result.json")
    result = json.loads(saved.read_text())
    assert final["default"] == result["test"]["found"]["accuracy"]
    image, text = final["lengths"].split(" | ")
    assert image == f"image {' '.join(map(str, result['lengths']['image']))}"
    assert text == f"text {' '.join(map(str, result['lengths']['text']))}"

    experiment.control("stop", "--all")
    with pytest.raises(urllib.error.URLError):
        experiment.get("check-status")
