"""Making of the tokenizer and the tasks from WordNet: ``python -m dpl_nas.glosses.build``."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dpl_nas.gallery.pack import hash_of
from dpl_nas.gallery.packages import GLOSSES, get_package
from dpl_nas.gallery.remaking import remake
from dpl_nas.glosses.lines import WORDS, make_line, select_synsets
from dpl_nas.glosses.tasks import HASHES, TASKS, draw_texts, file_of, pack_texts
from dpl_nas.glosses.tokens import TOKENIZER, TOKENIZER_HASH, train_tokenizer
from dpl_nas.glosses.wordnet import Synset, read_wordnet
from dpl_nas.io.files import write_bytes

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the files, or check that they come out as those that ship; return the exit code."""
    return remake("dpl_nas.glosses.build", __doc__, _build, _read_shipped, arguments)


def _build(packages: Path, out: Path) -> dict[str, str]:
    synsets = read_wordnet(get_package(GLOSSES, packages))
    files: dict[str, bytes] = {}
    kept_out: set[str] = set()
    for name in TASKS:
        task = draw_texts(name, synsets)
        files[file_of(name)] = pack_texts(task)
        kept_out |= {text for text, _ in (*task.pool, *task.test)}
    lines = _all_lines(select_synsets(synsets, kept_out))
    files[TOKENIZER.name] = train_tokenizer(lines, WORDS).encode("utf-8")
    for file, content in files.items():
        write_bytes(out / file, content)
    return {file: hash_of(content) for file, content in files.items()}


def _read_shipped() -> dict[str, str]:
    return {TOKENIZER.name: TOKENIZER_HASH, **{file_of(name): HASHES[name] for name in HASHES}}


def _all_lines(synsets: Sequence[Synset]) -> Iterator[str]:
    generator = random.Random(0)
    for synset in synsets:
        gloss, said = make_line(synset, generator)
        yield f"{gloss} {said}"


if __name__ == "__main__":
    sys.exit(main())
