"""The tasks of texts: their classes, questions and words, and the files that ship."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dpl_nas.errors import CheckpointError, ConfigError
from dpl_nas.gallery.pack import hash_of
from dpl_nas.glosses.wordnet import Synset
from dpl_nas.io.files import read_bytes

__all__ = [
    "HASHES",
    "TASKS",
    "GlossTask",
    "TaskPlan",
    "draw_texts",
    "file_of",
    "load_texts",
    "pack_texts",
]


@dataclass(frozen=True)
class TaskPlan:
    """What a task asks.

    Attributes
    ----------
    categories
        The number of the lexicographer's file of each class, by the class's name.
    verbalisers
        The word that stands for each class, in the same order: one token after a space.
    template
        The prompt around ``{text}``; the word comes next.
    """

    categories: dict[str, int]
    verbalisers: tuple[str, ...]
    template: str


@dataclass(frozen=True)
class GlossTask:
    """Texts to classify by the word that a language model finds likely to come next.

    Attributes
    ----------
    name
        Name of the task.
    classes, verbalisers
        Names of the classes, and the word that stands for each.
    template
        The prompt around ``{text}``.
    pool, test
        Texts to draw shots from, and to test on, with the places of their classes.
    """

    name: str
    classes: tuple[str, ...]
    verbalisers: tuple[str, ...]
    template: str
    pool: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]


TASKS = {
    "glosses/nature": TaskPlan(
        categories={
            "animal": 5,
            "plant": 20,
            "food": 13,
            "substance": 27,
            "body": 8,
            "artifact": 6,
            "person": 18,
            "location": 15,
        },
        verbalisers=("animal", "plant", "food", "substance", "body", "tool", "person", "place"),
        template="{text} . it is a kind of",
    ),
    "glosses/acts": TaskPlan(
        categories={
            "act": 4,
            "cognition": 9,
            "communication": 10,
            "event": 11,
            "feeling": 12,
            "possession": 21,
            "state": 26,
            "time": 28,
        },
        verbalisers=(
            "action",
            "idea",
            "language",
            "event",
            "emotion",
            "money",
            "condition",
            "time",
        ),
        template="{text} . it is about",
    ),
}
#: The SHA-256 of the files that ship.
HASHES: dict[str, str] = {
    "glosses/nature": "9aa45e0bffea882cc5419227c7208635d1cd07957adc00575bf1594fab67a80f",
    "glosses/acts": "e4a524c018476a476d736b5525d4c4301ce58684f876a57ad3ae587c6f6dbbba",
}
#: Texts of each class to draw shots from, and to test on.
_POOL, _TEST = 120, 100
#: Numbers of words that texts have.
_LEAST, _MOST = 4, 20
_FOLDER = Path(__file__).parent


def file_of(name: str) -> str:
    """Return the name of the file of a task's texts.

    Raises
    ------
    ConfigError
        If there is no such task.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r} of texts: use one of {', '.join(TASKS)}")
    return f"{name.removeprefix('glosses/')}.json.gz"


def load_texts(name: str) -> GlossTask:
    """Load a task of texts that ships.

    Raises
    ------
    ConfigError
        If there is no such task.
    CheckpointError
        If its file is absent or damaged.
    """
    path = _FOLDER / file_of(name)
    content = read_bytes(path)
    if hash_of(content) != HASHES.get(name):
        raise CheckpointError(
            f"{path} is damaged or of another version: install dpl_nas again, or make it with "
            "python -m dpl_nas.glosses.build"
        )
    try:
        read = json.loads(gzip.decompress(content))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise CheckpointError(f"{path} is damaged: install dpl_nas again") from error
    plan = TASKS[name]
    return GlossTask(
        name=name,
        classes=tuple(plan.categories),
        verbalisers=plan.verbalisers,
        template=plan.template,
        pool=tuple((str(text), int(label)) for text, label in read["pool"]),
        test=tuple((str(text), int(label)) for text, label in read["test"]),
    )


def draw_texts(name: str, synsets: Iterable[Synset], seed: int = 0) -> GlossTask:
    """Draw a task's texts from WordNet.

    Instances, such as persons of history, are left out, and so is a gloss that more than one
    synset has.

    Parameters
    ----------
    seed
        Seed of the draw.

    Raises
    ------
    ConfigError
        If there is no such task, or too few texts of a class.
    """
    file_of(name)
    plan = TASKS[name]
    seen: dict[str, int] = {}
    fitting: dict[int, list[str]] = {number: [] for number in plan.categories.values()}
    for synset in synsets:
        seen[synset.gloss] = seen.get(synset.gloss, 0) + 1
        words = len(synset.gloss.split())
        wanted = synset.part == "noun" and synset.category in fitting and not synset.instance
        if wanted and _LEAST <= words <= _MOST:
            fitting[synset.category].append(synset.gloss)
    generator = random.Random(f"{name} {seed}")
    pool: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for label, (title, number) in enumerate(plan.categories.items()):
        texts = [text for text in fitting[number] if seen[text] == 1]
        if len(texts) < _POOL + _TEST:
            raise ConfigError(f"WordNet has {len(texts)} texts of {title}: {_POOL + _TEST} needed")
        drawn = generator.sample(texts, _POOL + _TEST)
        pool += [(text, label) for text in drawn[:_POOL]]
        test += [(text, label) for text in drawn[_POOL:]]
    return GlossTask(
        name=name,
        classes=tuple(plan.categories),
        verbalisers=plan.verbalisers,
        template=plan.template,
        pool=tuple(pool),
        test=tuple(test),
    )


def pack_texts(task: GlossTask) -> bytes:
    """Return the content of a task's file: the same for the same texts."""
    content = json.dumps({"pool": task.pool, "test": task.test}, separators=(",", ":"))
    return gzip.compress(content.encode("utf-8"), compresslevel=9, mtime=0)
