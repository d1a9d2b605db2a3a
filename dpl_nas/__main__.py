"""``python -m dpl_nas``, the command line."""

from dpl_nas.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
