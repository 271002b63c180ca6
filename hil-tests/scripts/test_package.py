"""What can be known of the package and the unit without a guest (the rest: `make appliance`)."""

import pathlib
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Package(unittest.TestCase):
    def test_the_scripts_that_dpkg_runs_are_shell(self):
        for name in ["preinst", "postinst", "prerm", "postrm"]:
            done = subprocess.run(["sh", "-n", ROOT / "systemd/debian" / name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_folder_of_the_install_tree_is_packed(self):
        script = (ROOT / "hil-tests/scripts/deb.sh").read_text()
        for folder in (ROOT / "systemd").iterdir():
            if folder.name != "debian":
                self.assertIn(f"\ncopy {folder.name} ", script, "a file that is not packed is not on the box")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not there")
    def test_the_exposure_of_each_unit_is_at_most_one_and_a_half(self):
        for unit in sorted((ROOT / "systemd/system").glob("*.service")):
            done = subprocess.run(
                ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit], capture_output=True, text=True
            )
            if "nrecognized" in done.stderr or "nknown option" in done.stderr:
                self.skipTest("this systemd-analyze cannot judge a file (needs 250)")
            self.assertEqual(done.returncode, 0, unit.name + (done.stdout + done.stderr)[-300:])


if __name__ == "__main__":
    unittest.main()
