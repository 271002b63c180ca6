"""Tests of layer.py."""

import sys
import tempfile
import unittest
from pathlib import Path

import layer

sys.path.insert(0, str(layer.ROOT / "yocto/scripts"))
import crates  # noqa: E402

RECIPE = 'EXTERNALSRC = "x"\nSRC_URI = "file://fetched \\\n file://a.service"\nSCANSIDE_TREES = "\\\n    system:${unitdir} \\\n    udev:${udev} \\\n"\n'


class Layer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in ("systemd/system", "systemd/udev", "systemd/debian", "recipe/files"):
            (self.root / name).mkdir(parents=True)
        self.recipe = self.root / "recipe/daemon_1.0.bb"

    def write(self, text: str) -> Path:
        self.recipe.write_text(text)
        return self.recipe

    def test_a_new_folder_of_systemd_that_the_image_lacks_is_named(self):
        self.assertEqual(layer.trees(self.root, self.write(RECIPE)), [])
        (self.root / "systemd/sleep.d").mkdir()
        self.assertEqual(layer.trees(self.root, self.recipe), ["recipe/daemon_1.0.bb: systemd/sleep.d is not installed"])

    def test_a_folder_of_systemd_that_is_gone_is_named(self):
        (self.root / "systemd/udev").rmdir()
        self.assertEqual(layer.trees(self.root, self.write(RECIPE)), ["recipe/daemon_1.0.bb: there is no systemd/udev"])

    def test_a_file_that_a_recipe_installs_from_the_repository_must_exist(self):
        self.write(RECIPE + "install ${S}/systemd/debian/20.toml ${D}\n")
        self.assertEqual(layer.from_repository(self.root, self.recipe), ["recipe/daemon_1.0.bb: systemd/debian/20.toml is not in the repository"])
        (self.root / "systemd/debian/20.toml").touch()
        self.assertEqual(layer.from_repository(self.root, self.recipe), [])

    def test_a_file_that_a_recipe_fetches_must_lie_beside_it(self):
        self.write(RECIPE)
        (self.root / "recipe/files/fetched").touch()
        self.assertEqual(layer.beside(self.root, self.recipe), ["recipe/daemon_1.0.bb: no file a.service"])

    def test_a_binding_newer_than_the_runtime_of_a_device_is_named(self):
        text = '[workspace.dependencies]\nort = {{ version = "2", features = ["std"{}] }}\n'
        (self.root / "Cargo.toml").write_text(text.format(', "api-24"'))
        self.assertEqual(layer.api(self.root, 24), [])
        self.assertEqual(len(layer.api(self.root, 23)), 1)
        (self.root / "Cargo.toml").write_text(text.format(""))
        self.assertEqual(len(layer.api(self.root, 24)), 1)

    def test_a_unit_that_mounts_for_others_must_not_have_a_file_system_of_its_own(self):
        unit = self.root / "recipe/a.service"
        unit.write_text("[Service]\n# ProtectHome= would be wrong\nExecStart=/bin/a\nNoNewPrivileges=yes\n")
        self.assertEqual(layer.mounts(self.root, unit), [])
        for line in ("ProtectHome=yes", "PrivateTmp=yes", "ReadOnlyPaths=/sys", "ProtectSystem=strict", "MountFlags=slave"):
            unit.write_text(f"[Service]\nExecStart=/bin/a\n{line}\n")
            self.assertEqual(len(layer.mounts(self.root, unit)), 1, line)

    def test_a_kas_repository_without_a_whole_commit_is_named(self):
        pinned = {"url": "https://example.org/a", "commit": "0" * 40}
        content = {"repos": {"own": {"layers": {}}, "none": None, "a": pinned, "b": {"url": "x", "branch": "main"}, "c": pinned | {"commit": "0" * 12}}}
        self.assertEqual(layer.pins("k", content), ["k: b is not pinned to a commit", "k: c is not pinned to a commit"])


class Crates(unittest.TestCase):
    LOCK = '[[package]]\nname = "own"\nversion = "1.0.0"\n\n[[package]]\nname = "b"\nversion = "2.0.0"\nsource = "{}"\nchecksum = "ff"\n'

    def test_crates_are_listed_with_their_hash_and_those_of_the_workspace_are_not(self):
        text = crates.include(self.LOCK.format(crates.REGISTRY))
        self.assertIn("    crate://crates.io/b/2.0.0 \\\n", text)
        self.assertIn('SRC_URI[b-2.0.0.sha256sum] = "ff"\n', text)
        self.assertNotIn("own", text)

    def test_a_crate_from_elsewhere_is_refused(self):
        with self.assertRaises(ValueError):
            crates.include(self.LOCK.format("git+https://example.org/b"))
