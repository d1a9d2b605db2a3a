import io

from rich.console import Console

from dpl_nas.cli.comparison_tables import show_comparison
from dpl_nas.comparison import Cell, analyse


def cell(strategy: str, seed: int, accuracy: float | None) -> Cell:
    return Cell(
        task="[red]digits[/red]",
        space="small",
        strategy=strategy,
        seed=seed,
        shots=4,
        lengths={"image": [1, 2]},
        vectors=3,
        test_accuracy=accuracy,
        test_macro_f1=accuracy,
        steps=100,
        error=None if accuracy is not None else "[bold]out[/bold] of memory",
    )


def abbreviate(cells: list[Cell]) -> str:
    stream = io.StringIO()
    show_comparison(Console(file=stream, width=200), analyse(cells))
    return stream.getvalue()


def test_tables_and_conclusions() -> None:
    text = abbreviate(
        [
            cell(name, seed, accuracy)
            for name, accuracy in (("darts", 0.9), ("random", 0.8))
            for seed in (1, 2)
        ]
    )
    assert "Test accuracy, small, 4 shots" in text
    # A bracket in a name is no markup.
    assert "[red]digits[/red]" in text
    assert "Mean rank by test accuracy" in text
    assert "Cost of the search" in text
    assert "Failed" not in text
    assert "* darts is ahead of random by 10.0 points" in text


def test_failures() -> None:
    text = abbreviate([cell("darts", 1, 0.9), cell("darts", 2, None)])
    assert "Failed and missing cells" in text
    assert "[bold]out[/bold] of memory" in text
    assert "Mean rank" not in text
