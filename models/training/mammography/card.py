"""CARD.md of the package: the parts that a program writes, each between two marks; and the hash of the card in model.toml.

    python card.py --package FOLDER --part NAME --table FILE      puts the table into the card, and the card's hash into model.toml
"""

import argparse
import hashlib
import pathlib
import re

MARKS = "<!-- {0}: written by models/training/mammography -->", "<!-- end of {0} -->"


def put(package, part, table):
    """The card with the table in place of what stood between the marks of the part; at its end where they are not there."""
    path = package / "CARD.md"
    text = path.read_text() if path.exists() else "# mg-breast\n\n**It learnt from phantoms only and is of no use for patients.**\n"
    begin, end = (mark.format(part) for mark in MARKS)
    if begin not in text:
        text += f"\n{begin}\n{end}\n"
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    path.write_text(f"{before}{begin}\n\n{table.strip()}\n\n{end}{after}")


def seal(package):
    """Writes the hash of the card into model.toml."""
    digest = hashlib.sha256((package / "CARD.md").read_bytes()).hexdigest()
    path = package / "model.toml"
    text, count = re.subn(r'^"CARD.md" = "[0-9a-f]*"$', f'"CARD.md" = "{digest}"', path.read_text(), flags=re.M)
    assert count == 1, "model.toml does not name CARD.md"
    path.write_text(text)


def python_table(figures, seconds):
    """The ablation as evaluate.py measured it."""
    lines = [f"{figures['cases']} cases, {figures['lesions']} lesions; in brackets 95 %, bootstrap over cases. Four views of the largest field take {seconds:.2f} s in ONNX Runtime on two threads.", ""]
    names = list(next(iter(figures["stages"].values())))
    lines += ["| stage | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for stage, values in figures["stages"].items():
        cells = [f"{values[n]['value']:.3f} ({values[n]['interval'][0]:.3f} to {values[n]['interval'][1]:.3f})" for n in names]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--part", required=True)
    arguments.add_argument("--table", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    put(a.package, a.part, a.table.read_text())
    seal(a.package)


if __name__ == "__main__":
    main()
