"""What the pictures of a run say of a choice that is not the alphas' own."""

from dataclasses import replace

import pytest

from dpl_nas.engine import Cost, Evaluation, Outcome, StopReason
from dpl_nas.runs.reasons import likeliest, why_chosen
from dpl_nas.space import Architecture, Space
from dpl_nas.strategy.result import EpochRecord, SearchResult

SPACE = Space.model_validate(
    {
        "name": "small",
        "towers": {
            "image": {"layers": [0, 1, 2], "lengths": [0, 2]},
            "text": {"layers": [0], "lengths": [0, 1, 4]},
        },
    }
)
LIMITED = SPACE.model_copy(update={"max_context_vectors": 4})


def lengths(image: tuple[int, ...], text: int) -> Architecture:
    return SPACE.architecture({**{f"image/{n}": c for n, c in enumerate(image)}, "text/0": text})


#: The alphas prefer 2 2 0 and 4.
ALPHA = {"image/0": [0.0, 1.0], "image/1": [0.0, 0.5], "image/2": [1.0, 0.0], "text/0": [0, 1, 2.0]}
LIKELY = lengths((2, 2, 0), 4)
WITHIN = lengths((2, 2, 0), 0)


def trial(number: int, architecture: Architecture, accuracy: float) -> Evaluation:
    return Evaluation(number, architecture, 1, Outcome(accuracy, 1.0, 40), Cost(), Cost(), 0)


def result(found: Architecture, choice: Architecture, *trials: Evaluation) -> SearchResult:
    record = EpochRecord(
        epoch=0,
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=0.5,
        supernet_accuracy=0.5,
        mean_entropy=0.9,
        entropy=dict.fromkeys(ALPHA, 0.9),
        choice=choice.by_label(),
        ties=[],
        alpha=ALPHA,
    )
    return SearchResult(
        architecture=found,
        strategy="darts",
        shots=4,
        seed=1,
        records=(record,),
        stopped_by=StopReason.EPOCHS,
        seconds=1.0,
        labels_seen=1,
        evaluations=trials,
    )


def test_what_the_alphas_prefer_needs_no_words() -> None:
    assert why_chosen(SPACE, result(LIKELY, LIKELY, trial(0, LIKELY, 0.5))) == ""
    assert why_chosen(SPACE, replace(result(WITHIN, LIKELY), records=())) == ""


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (lengths((0, 2, 2), 1), "Chosen by trials: trial 7 has the best validation score of 2"),
        (SPACE.uniform(0), "Chosen by trials: trial 7 has the best validation score of 2"),
        (lengths((2, 2, 2), 0), "Chosen by trials: the manual design image all x 2 has the best"),
    ],
)
def test_a_trial_that_validated_better(found: Architecture, sentence: str) -> None:
    other = sum(a != b for a, b in zip(LIKELY.items(), found.items(), strict=True))
    told = why_chosen(SPACE, result(found, LIKELY, trial(3, LIKELY, 0.5), trial(7, found, 0.75)))
    assert told.startswith(f"At {other} of 4 layers the alphas prefer another length. {sentence}")
    assert told.endswith("(accuracy 75.0%; the choice of the alphas 50.0%).")
    # The alphas' own choice need not have been tried.
    told = why_chosen(SPACE, result(found, LIKELY, trial(7, found, 0.75)))
    assert told.endswith("of 1 (accuracy 75.0%).")


def test_limits() -> None:
    told = why_chosen(LIMITED, result(WITHIN, WITHIN))
    assert told == (
        "At 1 of 4 layers the alphas prefer another length. "
        "The found lengths are the likeliest within 4 context vectors."
    )
    found = lengths((2, 0, 2), 0)
    told = why_chosen(LIMITED, result(found, WITHIN, trial(1, found, 0.75)))
    assert told.startswith(
        "At 3 of 4 layers the alphas prefer another length, and at 2 they choose another within "
        "4 context vectors. Chosen by trials: trial 1 has the best validation score of 1"
    )


def test_of_equal_alphas_the_chosen_length_is_the_likeliest() -> None:
    offered = {"text": (0, 1, 4)}
    assert likeliest({"text/0": [1.0, 0.0, 1.0]}, offered, {"text/0": 4}) == {"text/0": 4}
    assert likeliest({"text/0": [1.0, 0.0, 1.0]}, offered, {"text/0": 1}) == {"text/0": 0}
