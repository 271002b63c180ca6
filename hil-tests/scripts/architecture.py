#!/usr/bin/env python3
"""Architecture rules: which crate may depend on which. Exits with 1 when one is broken.

Reads the Cargo.toml of every workspace member and the paths in its source files. Needs Python 3.11 and nothing else.

A crate may depend only on crates of a lower layer (LAYERS below). Dev-dependencies are printed but not restricted: a test may
use any crate. Inside a crate, top-level modules that import each other in a cycle are reported.

    architecture.py [WORKSPACE]
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

# From the top down. A crate that is not listed here is an error: add it to a layer.
LAYERS = [
    ["hil-tests"],
    ["scansided", "scanside-client"],
    ["config"],
    ["study"],
    ["live", "node"],
    ["report", "custody"],
    ["dicom"],
    ["models"],
    ["hal"],
    ["phantom", "needs"],
]


# The bench tests the daemon from outside, as any client would use it.
BENCH, BENCH_MAY_NEED = "hil-tests", {"scanside-client", "phantom", "needs"}


class Crate(NamedTuple):
    """A workspace member. The sets hold names of other members."""

    name: str
    folder: Path
    needs: set[str]
    tests_need: set[str]


# ---------------------------------------------------------------- graphs


def cycles_in(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (strongly connected components of two or more), each sorted."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(arrows.get(start, ()))
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting.extend(arrows.get(node, ()))
        return seen

    below = {node: reached(node) for node in arrows}
    groups = {
        tuple(sorted(other for other in arrows if other in below[node] and node in below[other]))
        for node in arrows
        if node in below[node]
    }
    return sorted(list(group) for group in groups if len(group) > 1)


def not_downward(arrows: dict[str, set[str]], layers: list[list[str]]) -> list[tuple[str, str]]:
    """Dependencies on a crate that is not on a lower layer."""
    depth = {name: number for number, names in enumerate(layers) for name in names}
    return sorted((a, b) for a, ends in arrows.items() for b in ends if depth[b] <= depth[a])


# ---------------------------------------------------------------- Cargo.toml


def members(root: Path) -> list[Crate]:
    """The members of the workspace at `root`."""
    workspace = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]
    folders = sorted({folder for pattern in workspace["members"] for folder in root.glob(pattern)})
    manifests = {folder: tomllib.loads((folder / "Cargo.toml").read_text()) for folder in folders}
    names = {manifest["package"]["name"] for manifest in manifests.values()}

    def among_members(manifest: dict, *tables: str) -> set[str]:
        listed = {name for table in tables for name in manifest.get(table, {})}
        return (listed & names) - {manifest["package"]["name"]}

    return [
        Crate(
            manifest["package"]["name"],
            folder,
            among_members(manifest, "dependencies", "build-dependencies"),
            among_members(manifest, "dev-dependencies"),
        )
        for folder, manifest in manifests.items()
    ]


# ---------------------------------------------------------------- sources


def without_comments_and_strings(text: str) -> str:
    """Rust source in which comments are removed and string literals are empty."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', re.DOTALL)
    return pattern.sub(lambda found: "" if found[0].startswith("/") else '""', text)


def closing(text: str, opening: int) -> int:
    """The index just after the brace that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


def without_tests(text: str) -> str:
    """Source without the items that only tests have: from `#[cfg(test)]` to the end of the item."""
    while found := re.search(r"#\[cfg\(test\)\]", text):
        semicolon, brace = text.find(";", found.end()), text.find("{", found.end())
        if brace < 0 or 0 <= semicolon < brace:
            end = semicolon + 1 if semicolon >= 0 else len(text)
        else:
            end = closing(text, brace)
        text = text[: found.start()] + text[end:]
    return text


def test_modules(text: str) -> set[str]:
    """Names of modules that are declared for tests only, in another file."""
    return set(re.findall(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))? )?mod (\w+);", text))


def paths_after(text: str, start: str) -> set[tuple[str, ...]]:
    """The paths in `text` that begin with `start::`, with groups in braces unfolded, `start` left out, two steps deep."""
    found = set()
    for match in re.finditer(rf"(?<![\w:$]){re.escape(start)}::", text):
        found |= {path[:2] for path in unfold(text, match.end())}
    return found


def unfold(text: str, at: int) -> list[tuple[str, ...]]:
    """The paths of the use tree that begins at `at`."""
    if text[at : at + 1] == "{":
        end = closing(text, at)
        return [path for part in split_group(text[at + 1 : end - 1]) for path in unfold(part.strip(), 0)]
    word = re.match(r"\w+", text[at:])
    if not word:
        return []
    after = at + word.end()
    if text[after : after + 2] == "::":
        return [(word[0], *rest) for rest in unfold(text, after + 2)] or [(word[0],)]
    return [(word[0],)]


def split_group(inside: str) -> list[str]:
    """`a, b::{c, d}` at its outer commas."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(inside[start:index])
            start = index + 1
    return [*parts, inside[start:]]


def module_of(file: Path, source: Path) -> tuple[str, ...]:
    """The module path of a source file; empty for the root."""
    steps = file.relative_to(source).with_suffix("").parts
    return () if steps in (("lib",), ("main",)) else tuple(step for step in steps if step != "mod")


class Sources(NamedTuple):
    """The imports in the files under `src/` of a crate, without tests."""

    modules: dict[str, set[str]]  # top-level module -> top-level modules it names
    crates: set[str]  # every identifier that begins a path
    lines: int


def read_sources(crate: Crate) -> Sources:
    source = crate.folder / "src"
    raw = {file: without_comments_and_strings(file.read_text()) for file in sorted(source.rglob("*.rs"))}
    hidden = {(*module_of(file, source), name) for file, text in raw.items() for name in test_modules(text)}
    texts = {
        file: without_tests(text)
        for file, text in raw.items()
        if not any(module_of(file, source)[: len(path)] == path for path in hidden)
    }
    top = {path[0] for file in texts if (path := module_of(file, source)) and path[0] not in ("bin", "main")}
    root = "\n".join(text for file, text in texts.items() if not module_of(file, source))
    # A name that the root re-exports counts as its module: `pub use settings::Settings;`
    homes = {
        path[-1]: module
        for statement in re.findall(r"\bpub use ([^;]+);", root)
        for module in [re.sub(r"^(crate|self)::", "", statement).split("::")[0]]
        if module in top
        for path in unfold(re.sub(r"^(crate|self)::", "", statement), 0)
    }
    modules: dict[str, set[str]] = {name: set() for name in top}
    for file, text in texts.items():
        path = module_of(file, source)
        if not path or path[0] not in top:
            continue
        to_root = ["crate", "::".join(["super"] * len(path))]
        named = {first for start in to_root for first, *_ in paths_after(text, start) if first != "super"}
        modules[path[0]] |= ({homes.get(name, name) for name in named} & top) - {path[0]}
    words = {word for text in texts.values() for word in re.findall(r"(?<![\w:])(\w+)::", text)}
    return Sources(modules, words, sum(file.read_text().count("\n") for file in raw))


# ---------------------------------------------------------------- report


def main(root: Path) -> int:
    crates = members(root)
    read = {crate.name: read_sources(crate) for crate in crates}
    names = {crate.name for crate in crates}
    layers = [present for layer in LAYERS if (present := [name for name in layer if name in names])]
    unplaced = sorted(names - {name for layer in LAYERS for name in layer})
    arrows = {crate.name: crate.needs for crate in crates}
    by_name = {crate.name: crate for crate in crates}

    print("layers, from the top down (lines of source; -> dependencies; further crates that tests use):")
    for number, layer in zip(range(len(layers), 0, -1), layers):
        for name in layer:
            crate = by_name[name]
            tests = sorted(crate.tests_need - crate.needs)
            line = f"  {number:2}  {name:16}{read[name].lines:7}  -> {', '.join(sorted(crate.needs)) or '(nothing)'}"
            print(line + (f"; tests: {', '.join(tests)}" if tests else ""))

    placed = {a: {b for b in ends if b not in unplaced} for a, ends in arrows.items() if a not in unplaced}
    upward = not_downward(placed, LAYERS)
    cycles = cycles_in(arrows)
    intruders = sorted(arrows.get(BENCH, set()) - BENCH_MAY_NEED)
    unused = sorted((a, b) for a, ends in arrows.items() for b in ends if b.replace("-", "_") not in read[a].crates)
    inner = {name: cycles_in(sources.modules) for name, sources in sorted(read.items()) if cycles_in(sources.modules)}

    for name in unplaced:
        print(f"rule broken: {name} has no layer in hil-tests/scripts/architecture.py")
    for a, b in upward:
        print(f"rule broken: {a} -> {b} does not point to a lower layer")
    for name in intruders:
        print(f"rule broken: {BENCH} -> {name}: the bench may depend on {', '.join(sorted(BENCH_MAY_NEED))} only")
    for group in cycles:
        print(f"rule broken: a cycle of crates: {', '.join(group)}")
    for a, b in unused:
        print(f"rule broken: {a} declares a dependency on {b} and does not use it")
    for name, groups in inner.items():
        for group in groups:
            print(f"a cycle of modules inside {name}: {', '.join(group)}")

    inside = sum(len(ends) for sources in read.values() for ends in sources.modules.values())
    print(
        f"architecture: {len(crates)} crates on {len(layers)} layers, {sum(map(len, arrows.values()))} dependencies, "
        f"{len(upward)} upward, {len(cycles)} cycles between crates; inside the crates {inside} imports between modules, "
        f"{sum(map(len, inner.values()))} cycles"
    )
    return 1 if unplaced or upward or intruders or cycles or unused else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]))
