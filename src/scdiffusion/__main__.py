"""Let ``python -m scdiffusion`` run the command line."""

from scdiffusion.cli import main

if __name__ == "__main__":
    main()
