"""Check what wheel and sdist hold: ``python .ci/check_dist.py dist``; ``--oldest`` prints the lower bounds instead."""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IN_WHEEL = ("scdiffuse/__init__.py", "scdiffuse/py.typed", "scdiffuse/evaluation/templates/")
IN_SDIST = ("src/scdiffuse/__init__.py", "tests/", "docs/", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE")
NOT_IN_WHEEL = ("tests/", "benchmarks/", "docs/", "__pycache__")


def main() -> int:
    """Compare names with what is expected, and the version of the files with that of the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--oldest", action="store_true")
    options = parser.parse_args()
    if options.oldest:
        sys.stdout.write("\n".join(oldest()) + "\n")
        return 0
    (wheel,), (sdist,) = options.folder.glob("*.whl"), options.folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = archive.namelist()
    with tarfile.open(sdist) as archive:
        in_sdist = [name.partition("/")[2] for name in archive.getnames()]
    wrong = [f"{wheel.name} lacks {part}" for part in IN_WHEEL if not _any_starts(in_wheel, part)]
    wrong += [f"{sdist.name} lacks {part}" for part in IN_SDIST if not _any_starts(in_sdist, part)]
    wrong += [f"{wheel.name} holds {name}" for name in in_wheel if any(part in name for part in NOT_IN_WHEEL)]
    version = re.search(r'__version__ = "(.+)"', (ROOT / "src/scdiffuse/_core/version.py").read_text(encoding="utf-8"))
    if version is None or f"scdiffuse-{version.group(1)}-" not in wheel.name:
        wrong.append(f"{wheel.name} is not of the version of the package")
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


def oldest() -> list[str]:
    """Pin each required package to the lower bound of `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(r"^([\w.-]+)>=([\d.]+).*$", r"\1~=\2.0", one) for one in project["dependencies"]]


def _any_starts(names: list[str], part: str) -> bool:
    return any(name.startswith(part) for name in names)


if __name__ == "__main__":
    sys.exit(main())
