# SPDX-License-Identifier: MIT
#
# What the tests share that boot Debian's arm64 kernel with an init of ours. The kernel is fetched once;
# VPMU_LINUX_IMAGE names another one, VPMU_LINUX_SPE_DRIVER its arm_spe_pmu.ko. Where none can be had the tests
# are skipped, and the program ends with status 77.
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import initrd
import kernel

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 600

arguments = None


def files_to_boot():
    """The Image, and its driver for SPE, or None."""
    image, driver = os.environ.get("VPMU_LINUX_IMAGE"), os.environ.get("VPMU_LINUX_SPE_DRIVER")
    if not image:
        return kernel.fetched(arguments.folder)
    return pathlib.Path(image).resolve(), pathlib.Path(driver).resolve() if driver else None


def compile_init(folder):
    program = folder / "init"
    sources = [str(source) for source in sorted(HERE.glob("*.c"))]
    subprocess.run([arguments.compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(program),
                    *sources], check=True)
    return program


def skip(reason):
    print(f"SKIPPED: {reason}", file=sys.stderr)
    raise unittest.SkipTest(reason)


class LinuxTest(unittest.TestCase):
    """Each class has a folder of its own, in which everything runs."""

    @classmethod
    def setUpClass(cls):
        try:
            cls.image, cls.driver = files_to_boot()
        except kernel.Unavailable as reason:
            skip(f"no arm64 kernel to boot: {reason}")
        scratch = tempfile.TemporaryDirectory(prefix="vpmu linux.")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.init = compile_init(cls.folder)
        files = {"arm_spe_pmu.ko": cls.driver.read_bytes()} if cls.driver else {}
        cls.initrd = cls.folder / "initrd.cpio"
        cls.initrd.write_bytes(initrd.archive(cls.init.read_bytes(), files))

    @classmethod
    def vpmu(cls, *words):
        """What it prints."""
        return subprocess.run([arguments.vpmu, *map(str, words)], capture_output=True, text=True, check=True,
                              timeout=SECONDS, cwd=cls.folder).stdout

    @classmethod
    def boot(cls, *options, command="run", init="counting", end="power-off (status 0)"):
        """What the guest has printed, and what vpmu has."""
        line = [arguments.vpmu, command, str(cls.image), "--initrd", str(cls.initrd), "--mem", "512M",
                "--append", f"earlycon console=ttyAMA0 -- {init}", *map(str, options)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, cwd=cls.folder)
        if f"vpmu: {end};" not in done.stderr:
            raise AssertionError(f"status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
        return done

    @staticmethod
    def lines(console, beginning):
        return [line for line in console.replace("\r", "").splitlines() if line.startswith(beginning)]

    def check_verdicts(self, console, cpus, checks):
        passed = self.lines(console, "PASS: ")
        self.assertEqual(self.lines(console, "FAIL: "), [])
        self.assertEqual(len(passed), checks, "\n".join(passed))
        self.assertIn(f"{cpus} CPUs", passed[0])


def main(description):
    global arguments
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--vpmu", required=True)
    parser.add_argument("--folder", required=True, help="where the kernel stays")
    parser.add_argument("--compiler", default="aarch64-linux-gnu-gcc")
    arguments, rest = parser.parse_known_args()
    arguments.vpmu = os.path.abspath(arguments.vpmu)
    arguments.folder = os.path.abspath(arguments.folder)
    program = unittest.main(argv=[sys.argv[0], *rest], module="__main__", exit=False)
    skipped = program.result.skipped and program.result.wasSuccessful()
    sys.exit(77 if skipped else not program.result.wasSuccessful())
