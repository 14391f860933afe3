"""Let ``python -m scdiffuse`` run the command line."""

from scdiffuse.cli import main

if __name__ == "__main__":
    main()
