#!/usr/bin/env python3
"""Writes what the package is made of: a CycloneDX 1.5 file, and the licences of all crates as text.

    sbom.py --version 0.1.0 --onnxruntime 1.32.0 --target x86_64-unknown-linux-gnu --sbom OUT.json --licences OUT.txt

Only crates that are linked into the two programs with the features of a release count, as `cargo tree` names them; `cargo
metadata` says their licence, source and folder, `Cargo.lock` their hash.
"""

import argparse
import json
import pathlib
import re
import subprocess
import tomllib

RELEASE = ["-p", "scansided", "-p", "scanside-client", "--no-default-features", "--features", "scanside-client/ctl"]


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], check=True, capture_output=True, text=True).stdout


def linked(target: str) -> set[tuple[str, str]]:
    """Name and version of every crate in the programs; those that only help to build them are left out."""
    tree = cargo("tree", *RELEASE, "--target", target, "--edges", "normal", "--prefix", "none", "--format", "{p}")
    found = set()
    for line in tree.splitlines():
        if match := re.match(r"(\S+) v(\S+)", line):
            found.add((match[1], match[2]))
    return found


def texts(folder: pathlib.Path) -> list[pathlib.Path]:
    """The licence files that a crate carries."""
    return sorted(f for f in folder.iterdir() if f.is_file() and re.match(r"(?i)(licen[cs]e|copying|notice|unlicense)", f.name))


def component(package: dict, hashes: dict) -> dict:
    name, version = package["name"], package["version"]
    one = {
        "type": "library",
        "bom-ref": f"pkg:cargo/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:cargo/{name}@{version}",
    }
    if package["license"]:
        one["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if digest := hashes.get((name, version)):
        one["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["repository"]:
        one["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ["version", "onnxruntime", "target", "sbom", "licences"]:
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    wanted = linked(options.target)
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--locked"))
    packages = [p for p in metadata["packages"] if (p["name"], p["version"]) in wanted]
    packages.sort(key=lambda p: (p["name"], p["version"]))
    assert len(packages) == len(wanted), "cargo tree and cargo metadata disagree"
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text())
    hashes = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}

    runtime = {
        "type": "library",
        "bom-ref": f"pkg:pypi/onnxruntime@{options.onnxruntime}",
        "name": "onnxruntime",
        "version": options.onnxruntime,
        "purl": f"pkg:pypi/onnxruntime@{options.onnxruntime}",
        "licenses": [{"expression": "MIT"}],
    }
    models = []
    for file in sorted(pathlib.Path("models/packages").glob("*/model.toml")):
        model = tomllib.loads(file.read_text())
        one = {"type": "machine-learning-model", "name": model["id"], "version": model["version"]}
        models.append({**one, "bom-ref": f"model:{one['name']}@{one['version']}"})
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "scanside", "name": "scanside", "version": options.version},
        },
        "components": [component(p, hashes) for p in packages] + [runtime] + models,
    }
    pathlib.Path(options.sbom).write_text(json.dumps(document, indent=1) + "\n")

    # The same text (Apache-2.0, mostly) is carried by hundreds of crates: it is printed once, under all their names.
    carriers: dict[str, list[str]] = {}
    bare = []
    for package in packages:
        if package["source"] is None:
            continue
        label = f"{package['name']} {package['version']} ({package['license']})"
        found = texts(pathlib.Path(package["manifest_path"]).parent)
        for file in found:
            carriers.setdefault(file.read_text(errors="replace").strip(), []).append(label)
        if not found:
            bare.append(label)
    with open(options.licences, "w") as out:
        out.write("Crates in scansided and scansidectl, with the licence texts that they carry.\n")
        for text, names in sorted(carriers.items(), key=lambda item: -len(item[1])):
            out.write("\n" + "=" * 80 + "\n" + "\n".join(sorted(set(names))) + "\n" + "-" * 80 + f"\n{text}\n")
        if bare:
            out.write("\n" + "=" * 80 + "\nWithout a text of their own, under the licence named here:\n" + "\n".join(bare) + "\n")


if __name__ == "__main__":
    main()
