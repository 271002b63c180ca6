#!/usr/bin/env python3
"""What can be known of the layers in yocto/ without Yocto: that they agree with the repository that they lie in.

    layer.py

Prints what is wrong; exits with 1 then. The schema of the kas files is checked where kas is installed (setup.sh check).
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DAEMON = "yocto/meta-scanside/recipes-scanside/scansided"
# Folders of systemd/ that are not part of the install tree.
NOT_INSTALLED = {"debian"}


def version(recipe: Path) -> str:
    """Of a recipe, from its name: NAME_VERSION.bb."""
    return recipe.stem.rsplit("_", 1)[1]


def from_repository(root: Path, recipe: Path) -> list[str]:
    """Files and folders of the repository that a recipe names by ${S} and that do not exist."""
    text = recipe.read_text()
    if "EXTERNALSRC" not in text:
        return []
    named = re.findall(r"\$\{S\}/([\w./-]+)", text) + re.findall(r"file://([\w./-]+);md5", text)
    return [f"{recipe.relative_to(root)}: {name} is not in the repository" for name in named if not (root / name.rstrip("/")).exists()]


def trees(root: Path, recipe: Path) -> list[str]:
    """Folders of systemd/ that the recipe of the daemon leaves out, or names and that do not exist."""
    found = re.search(r'SCANSIDE_TREES = "([^"]*)"', recipe.read_text())
    named = {entry.split(":")[0] for entry in found[1].replace("\\", " ").split()} if found else set()
    present = {folder.name for folder in (root / "systemd").iterdir() if folder.is_dir()} - NOT_INSTALLED
    return [f"{recipe.relative_to(root)}: systemd/{name} is not installed" for name in sorted(present - named)] + [
        f"{recipe.relative_to(root)}: there is no systemd/{name}" for name in sorted(named - present)
    ]


def beside(root: Path, recipe: Path) -> list[str]:
    """Files that a recipe fetches from beside itself (file://NAME) and that do not lie in one of its folders."""
    folders = [p for p in recipe.parent.rglob("*") if p.is_dir()] + [recipe.parent]
    wanted = re.findall(r"file://([\w.@-]+)(?=[\s\"\\])", recipe.read_text())
    return [f"{recipe.relative_to(root)}: no file {name}" for name in wanted if not any((f / name).is_file() for f in folders)]


def runtime(root: Path) -> list[str]:
    """ONNX Runtime of the recipe is the one that the tests and the Debian package pin, and new enough for the binding."""
    wrong = []
    pins = dict(line.split() for line in (root / "hil-tests/scripts/onnxruntime.txt").read_text().splitlines() if line[:1] not in ("", "#"))
    recipe = next((root / "yocto/meta-scanside/recipes-scanside/onnxruntime").glob("onnxruntime-wheel_*.bb"))
    if version(recipe) != pins["version"]:
        wrong.append(f"{recipe.relative_to(root)}: onnxruntime.txt pins {pins['version']}")
    for machine in ("x86_64", "aarch64"):
        if pins[machine] not in recipe.read_text():
            wrong.append(f"{recipe.relative_to(root)}: not the hash of onnxruntime.txt for {machine}")
    return wrong


def api(root: Path, oldest: int) -> list[str]:
    """The binding asks ONNX Runtime for an API level, which is the minor version of its release. `oldest`: that of a device."""
    features = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["dependencies"]["ort"]["features"]
    levels = [int(name.removeprefix("api-")) for name in features if name.startswith("api-")]
    if not levels:
        return ["Cargo.toml: ort names no api-NN, so it asks for its newest, which devices do not have"]
    return [f"Cargo.toml: ort asks for API {level}, a device has ONNX Runtime 1.{oldest}" for level in levels if level > oldest]


def names(root: Path) -> list[str]:
    """Version of the recipe, compatible of the machines, layers of kas."""
    wrong = []
    recipe = next((root / DAEMON).glob("scansided_*.bb"))
    workspace = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    if version(recipe) != workspace:
        wrong.append(f"{recipe.relative_to(root)}: Cargo.toml says {workspace}")
    distro = root / "yocto/meta-scanside/conf/distro/scanside-os.conf"
    if f'DISTRO_VERSION = "{workspace}"' not in distro.read_text():
        wrong.append(f"{distro.relative_to(root)}: Cargo.toml says {workspace}")
    bsp = root / "yocto/meta-scanside-bsp"
    for machine in sorted(p.stem for p in (bsp / "conf/machine").glob("*.conf")):
        conf = bsp / f"recipes-core/rauc/rauc-conf/{machine}/system.conf"
        if not conf.is_file() or f"\ncompatible={machine}\n" not in conf.read_text():
            wrong.append(f"{conf.relative_to(root)}: not for {machine} (the bundle says compatible={machine})")
        if not (root / f"yocto/kas/{machine}.yml").is_file():
            wrong.append(f"yocto/kas/{machine}.yml is missing")
    return wrong


def pins(name: str, content: dict) -> list[str]:
    """Repositories of a kas file that are fetched and not pinned to a commit."""
    return [
        f"{name}: {repo} is not pinned to a commit"
        for repo, entry in (content.get("repos") or {}).items()
        if entry and "url" in entry and not re.fullmatch(r"[0-9a-f]{40}", str(entry.get("commit", "")))
    ]


def kas(root: Path) -> list[str]:
    """The kas files: schema, pins, layers of this repository."""
    import jsonschema
    import kas as package
    import yaml

    schema = json.loads((Path(package.__file__).parent / "schema-kas.json").read_text())
    wrong = []
    for path in sorted((root / "yocto/kas").glob("*.yml")):
        name, content = str(path.relative_to(root)), yaml.safe_load(path.read_text())
        errors = jsonschema.Draft7Validator(schema).iter_errors(content)
        wrong += [f"{name}: {'/'.join(map(str, e.absolute_path))}: {e.message}" for e in errors]
        wrong += pins(name, content)
        wrong += [f"{name}: no file {f}" for f in content["header"].get("includes", []) if not (path.parent / f).is_file()]
        own = ((content.get("repos") or {}).get("scanside") or {}).get("layers") or {}
        wrong += [f"{name}: no layer {layer}" for layer in own if not (root / layer / "conf/layer.conf").is_file()]
    return wrong


def mounts(root: Path, unit: Path) -> list[str]:
    """Settings of a unit that mounts for others, with which systemd gives it a mount namespace of its own (systemd.exec(5)).

    From there no mount reaches the host. All of their names are refused, since which of them do it depends on the version of systemd.
    """
    alone = r"^((?:Protect|Private|ReadOnly|ReadWrite|Inaccessible|NoExecPaths|ExecPaths|Bind|TemporaryFileSystem|Root|Mount|DynamicUser|Extension)\w*)="
    return [f"{unit.relative_to(root)}: with {name} the service of RAUC does not see the stick" for name in re.findall(alone, unit.read_text(), re.M)]


def main() -> int:
    # ONNX Runtime of meta-tegra-community at the commit of yocto/kas.
    wrong = trees(ROOT, next((ROOT / DAEMON).glob("scansided_*.bb"))) + runtime(ROOT) + api(ROOT, oldest=24) + names(ROOT)
    wrong += mounts(ROOT, ROOT / "yocto/meta-scanside/recipes-core/scanside-system/files/scanside-update@.service")
    for pattern in ("*.bb", "*.bbappend"):
        for recipe in sorted((ROOT / "yocto").rglob(pattern)):
            wrong += from_repository(ROOT, recipe) + beside(ROOT, recipe)
    try:
        wrong += kas(ROOT)
    except ModuleNotFoundError as missing:
        print(f"the kas files were not checked: {missing}")
    crates = subprocess.run([sys.executable, "-B", ROOT / "yocto/scripts/crates.py", "--check"], capture_output=True, text=True)
    wrong += crates.stdout.splitlines() + crates.stderr.splitlines()
    print("\n".join(wrong) if wrong else "yocto: the layers agree with the repository")
    return 1 if wrong or crates.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
