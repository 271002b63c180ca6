"""Tests of architecture.py: `python3 -m unittest discover hil-tests/scripts`."""

import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import architecture


def workspace(root: Path, crates: dict[str, tuple[list[str], dict[str, str]]]) -> None:
    """Writes crates: name -> (dependencies, source files by path under src)."""
    (root / "Cargo.toml").write_text(f"[workspace]\nmembers = {list(crates)}\n")
    for name, (dependencies, files) in crates.items():
        for path, text in files.items():
            file = root / name / "src" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        listed = "".join(f"{other}.workspace = true\n" for other in dependencies)
        (root / name / "Cargo.toml").write_text(f'[package]\nname = "{name}"\n[dependencies]\n{listed}')


def judged(crates: dict[str, tuple[list[str], dict[str, str]]]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()) as said:
        workspace(Path(folder), crates)
        return architecture.main(Path(folder)), said.getvalue()


class Architecture(unittest.TestCase):
    def test_dependencies_that_point_down_are_accepted_and_counted(self):
        status, said = judged({
            "study": (["report", "dicom"], {"lib.rs": "use report::Page; use dicom::Uid;"}),
            "report": (["dicom"], {"lib.rs": "fn f() { dicom::read() }"}),
            "dicom": ([], {"lib.rs": ""}),
        })
        self.assertEqual(status, 0, said)
        self.assertIn("3 crates on 3 layers, 3 dependencies, 0 upward, 0 cycles between crates", said)

    def test_an_upward_dependency_a_sideways_one_and_a_crate_without_a_layer_are_refused(self):
        status, said = judged({
            "dicom": (["report"], {"lib.rs": "use report::Page;"}),
            "report": (["custody"], {"lib.rs": "use custody::Row;"}),
            "custody": ([], {"lib.rs": ""}),
            "attic": ([], {"lib.rs": ""}),
        })
        self.assertEqual(status, 1)
        self.assertIn("dicom -> report does not point to a lower layer", said)
        self.assertIn("report -> custody does not point to a lower layer", said)
        self.assertIn("attic has no layer", said)

    def test_a_cycle_of_crates_is_refused(self):
        status, said = judged({
            "live": (["node"], {"lib.rs": "use node::A;"}),
            "node": (["live"], {"lib.rs": "use live::B;"}),
        })
        self.assertEqual(status, 1)
        self.assertIn("a cycle of crates: live, node", said)

    def test_the_bench_may_not_depend_on_the_inside_of_the_daemon(self):
        status, said = judged({
            "hil-tests": (["study"], {"lib.rs": "use study::Job;"}),
            "study": ([], {"lib.rs": ""}),
        })
        self.assertEqual(status, 1)
        self.assertIn("hil-tests -> study: the bench may depend on", said)

    def test_a_dependency_that_nobody_uses_is_refused(self):
        status, said = judged({"report": (["dicom"], {"lib.rs": "// dicom::Uid"}), "dicom": ([], {"lib.rs": ""})})
        self.assertEqual(status, 1)
        self.assertIn("report declares a dependency on dicom and does not use it", said)

    def test_a_cycle_of_modules_is_reported_and_imports_of_tests_do_not_make_one(self):
        crate = {
            "lib.rs": "mod a; mod b; mod c; pub use b::Thing;",
            "a.rs": "use crate::Thing;",
            "b/mod.rs": "mod inner;",
            "b/inner.rs": "use super::super::{c, a::{self, Other}};",
            "c.rs": "#[cfg(test)]\nmod tests { use crate::b; fn f() { if x { y } } }\n#[cfg(test)]\nmod later;",
            "c/later.rs": "use crate::a;",
        }
        status, said = judged({"dicom": ([], crate)})
        self.assertEqual(status, 0)
        self.assertIn("a cycle of modules inside dicom: a, b\n", said)

    def test_comments_and_strings_are_not_imports(self):
        text = 'let a = "crate::x"; // crate::y\n/* crate::z */ let b = r#"crate::"w""#; crate::v()'
        cleaned = architecture.without_comments_and_strings(text)
        self.assertEqual(architecture.paths_after(cleaned, "crate"), {("v",)})


if __name__ == "__main__":
    unittest.main()
