"""``python -m dpl_nas``, the command line."""

from dpl_nas.cli import main

if __name__ == "__main__":
    main()
