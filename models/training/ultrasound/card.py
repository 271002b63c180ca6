"""Writes a table between its marks in a package's CARD.md, and the card's new hash into model.toml."""

import hashlib
import re

END = "<!-- end of evaluation -->"


def write(package, program, text):
    """`package`: folder of the package; `program`: the name in the opening mark."""
    mark = f"<!-- evaluation: written by {program} -->"
    card, manifest = package / "CARD.md", package / "model.toml"
    before, begin, rest = card.read_text().partition(mark)
    _, end, after = rest.partition(END)
    assert begin and end, f"{card}: no marks of {program}"
    card.write_text(f"{before}{mark}\n{text}\n{END}{after}")
    digest = hashlib.sha256(card.read_bytes()).hexdigest()
    manifest.write_text(re.sub(r'^"CARD.md" = ".*"$', f'"CARD.md" = "{digest}"', manifest.read_text(), flags=re.M))
