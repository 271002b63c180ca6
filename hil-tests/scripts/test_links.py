"""Tests of links.py."""

import subprocess
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import links


def broken(files: dict[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()) as said:
        root = Path(folder)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        links.main(root)
        return said.getvalue().splitlines()


class Links(unittest.TestCase):
    def test_a_link_to_a_file_that_is_not_there_is_named_with_its_line(self):
        found = broken({"docs/a.md": "one\n[b](b.md), [c](../c.md#part), [d](sub)\n\n[e]: f.md\n", "docs/sub/x": ""})
        self.assertEqual(found, ["docs/a.md:2: b.md", "docs/a.md:2: ../c.md#part", "docs/a.md:4: f.md"])

    def test_links_that_resolve_are_accepted_with_heading_title_and_escapes(self):
        text = '[b](b.md#part) ![c](<c d.md> "title") [c](c%20d.md) [up](../README.md) [folder](.)'
        files = {"docs/a.md": text, "docs/b.md": "", "docs/c d.md": "", "README.md": ""}
        self.assertEqual(broken(files), [])

    def test_other_sites_headings_code_and_pages_of_the_host_are_not_checked(self):
        text = "[a](https://example.org/x) [b](#part) `[c](d.md)`\n```\n[e](f.md)\n```\n[g]: ../../compare/v1...HEAD\n"
        self.assertEqual(broken({"a.md": text}), [])


if __name__ == "__main__":
    unittest.main()
