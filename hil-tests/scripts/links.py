#!/usr/bin/env python3
"""Prints every relative link in a Markdown document whose target does not exist, as FILE:LINE: TARGET.

    links.py [ROOT]
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

# `[text](target)` and `![text](target "title")`; the target ends at a space, unless it is in `<...>`.
INLINE = re.compile(r"\]\(\s*(<[^>]+>|[^)\s]+)")
# `[name]: target`
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*(<[^>]+>|\S+)")
CODE = re.compile(r"`[^`]*`")


def targets(text: str):
    """(line number, target) of every link outside of code."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        if not fenced:
            plain = CODE.sub("", line)
            for target in INLINE.findall(plain) + REFERENCE.findall(plain):
                yield number, target.strip("<>")


def is_broken(document: Path, target: str, root: Path) -> bool:
    """Links to other sites, to a heading of the same document, and out of the repository (pages of its host) are not checked."""
    path = unquote(target.split("#")[0])
    if not path or re.match(r"[a-z][a-z0-9+.-]*:", target):
        return False
    place = (document.parent / path).resolve()
    return place.is_relative_to(root.resolve()) and not place.exists()


def documents(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.md"],
        cwd=root, check=True, capture_output=True, text=True,
    )
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def main(root: Path) -> None:
    for document in documents(root):
        for number, target in targets(document.read_text()):
            if is_broken(document, target, root):
                print(f"{document.relative_to(root)}:{number}: {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
