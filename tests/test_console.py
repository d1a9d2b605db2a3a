import io
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from rich.console import Console

from dpl_nas.console import ConsoleObserver, screen_claimed, watched
from dpl_nas.observer import Observer


def show(console: Console) -> None:
    with ConsoleObserver(console) as observer:
        observer.begin("search", 4, done=1)
        observer.advance("search", 2, {"loss": 1.25, "validation_accuracy": 0.5}, "image 0 4")
        observer.advance("search", 3, {"loss": 1.0})
        observer.end("search")
        observer.begin("evaluate", 2)
        observer.advance("evaluate", 2, {"images": 200.0})
        observer.end("evaluate")


def test_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    show(Console(file=stream, width=40))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "search: goes on after 1 of 4"
    # The next ones come too soon after it; the end of a stage is always told.
    assert lines[-1] == "evaluate: 2/2, images 200"
    assert len(lines) == 2


def test_a_line_with_the_time_left_and_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream = io.StringIO()
    observer = ConsoleObserver(Console(file=stream, width=200))
    observer.begin("search", 100)
    now = 120.0
    observer.advance("search", 2, {"validation_accuracy": 0.5}, "image 0 4")
    assert stream.getvalue() == "search: 2/100, 1:38:00 left, val accuracy 0.5, image 0 4\n"


def test_bars_at_a_terminal() -> None:
    stream = io.StringIO()
    show(Console(file=stream, width=120, force_terminal=True, color_system=None))
    shown = stream.getvalue()
    for text in ("search", "3/3", "left", "loss 1", "evaluate", "2/2", "images 200"):
        assert text in shown


def test_what_is_shown_survives_unknown_stages() -> None:
    stream = io.StringIO()
    with ConsoleObserver(Console(file=stream)) as observer:
        observer.advance("surprise", 1, {})
        observer.end("surprise")
    assert stream.getvalue() == "surprise: 1/1\n"


def test_names_are_no_markup(capsys) -> None:
    with ConsoleObserver() as observer:
        observer.begin("[/x] :cat:", 2)
        observer.advance("[/x] :cat:", 2, {"loss": 1.0}, "[bold]task[/y] \x1b[2J")
    told = capsys.readouterr().err
    assert "[/x] :cat:: 2/2" in told
    assert r"[bold]task[/y] \x1b[2J" in told
    assert "\x1b" not in told


def test_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Observer()
    with watched(own) as found:
        assert found is own
    with watched(None) as found:
        assert type(found) is Observer
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watched(None) as found:
        assert isinstance(found, ConsoleObserver)
    with watched(None, quiet=True) as found:
        assert type(found) is Observer
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(kind_of_observer).result() is Observer


def kind_of_observer() -> type[Observer]:
    with watched(None) as found:
        return type(found)


def test_only_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watched(None) as outer:
        assert isinstance(outer, ConsoleObserver)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(kind_of_observer).result() is Observer
        assert kind_of_observer() is Observer
    with screen_claimed() as free:
        assert free
        # As within a command, which has its own progress, or was told to be quiet.
        assert kind_of_observer() is Observer
    assert kind_of_observer() is ConsoleObserver


def test_nothing_is_drawn_without_a_stage() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True)
    with ConsoleObserver(console) as observer:
        assert observer.left() == ""
    assert stream.getvalue() == ""
    with ConsoleObserver(console) as observer:
        observer.begin("search", 2)
        assert observer.left() == "\n\x1b[?25h"
    assert "search" in stream.getvalue()


def test_what_the_work_prints_reaches_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watched(None) as observer:
        observer.begin("search", 2)
        sys.stdout.write("printed by the work\n")
    out, err = capsys.readouterr()
    assert out == "printed by the work\n"
    assert "search" in err
