#!/usr/bin/env python3
"""Writes scansided-crates.inc, the list of crates that the recipe of the daemon downloads, from Cargo.lock.

    crates.py            writes it
    crates.py --check    exits with 1 when it is not what Cargo.lock says

The text is the one that `bitbake -c update_crates scansided` writes, except for a blank that the linter refuses.
"""

import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = "yocto/meta-scanside/recipes-scanside/scansided/scansided-crates.inc"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def include(lock: str) -> str:
    """The include file for the text of a Cargo.lock. Crates of the workspace have no source and are left out."""
    crates = []
    for package in tomllib.loads(lock)["package"]:
        source = package.get("source")
        if source is None:
            continue
        if source != REGISTRY:
            raise ValueError(f"{package['name']} comes from {source}: the recipe knows crates.io only")
        crates.append((package["name"], package["version"], package["checksum"]))
    crates.sort()
    lines = ["# Written by yocto/scripts/crates.py from Cargo.lock.", "", 'SRC_URI += "\\']
    lines += [f"    crate://crates.io/{name}/{version} \\" for name, version, _ in crates]
    lines += ['"', ""]
    lines += [f'SRC_URI[{name}-{version}.sha256sum] = "{checksum}"' for name, version, checksum in crates]
    return "\n".join(lines) + "\n"


def main() -> int:
    text = include((ROOT / "Cargo.lock").read_text())
    path = ROOT / INCLUDE
    if "--check" in sys.argv[1:]:
        if path.is_file() and path.read_text() == text:
            return 0
        print(f"{INCLUDE} is not what Cargo.lock says: run yocto/scripts/crates.py")
        return 1
    path.write_text(text)
    print(f"{INCLUDE}: {text.count('crate://')} crates")
    return 0


if __name__ == "__main__":
    sys.exit(main())
