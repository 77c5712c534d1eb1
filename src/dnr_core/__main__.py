"""Room: cli. `python -m dnr_core`, the same as `dnr`."""

from dnr_core.cli import main

if __name__ == "__main__":
    main()
