#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's arm64 kernel with an init of ours, which has Linux count and sample on every CPU.

The kernel is fetched once; VPMU_LINUX_IMAGE names another one. Where none can be had the tests are
skipped, and the program ends with status 77.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import initrd
import kernel

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 600
SYMBOL = re.compile("[0-9a-f]{16} . ")
CHECKS_PER_CPU = 7
CHECKS_OF_COUNTING = 3
CHECKS_OF_PROCESSES = 16

arguments = None


def image():
    chosen = os.environ.get("VPMU_LINUX_IMAGE")
    return pathlib.Path(chosen).resolve() if chosen else kernel.fetched_image(arguments.folder)


def compile_init(folder):
    program = folder / "init"
    sources = [str(source) for source in sorted(HERE.glob("*.c"))]
    subprocess.run([arguments.compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(program),
                    *sources], check=True)
    return program


class BootTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.image = image()
        except kernel.Unavailable as reason:
            print(f"SKIPPED: no arm64 kernel to boot: {reason}", file=sys.stderr)
            raise unittest.SkipTest(str(reason)) from None
        scratch = tempfile.TemporaryDirectory(prefix="vpmu linux.")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)
        cls.initrd = cls.folder / "initrd.cpio"
        cls.initrd.write_bytes(initrd.archive(compile_init(cls.folder).read_bytes()))

    def boot(self, *options, command="run", init="counting"):
        """What the guest has printed, and what vpmu has."""
        line = [arguments.vpmu, command, str(self.image), "--initrd", str(self.initrd), "--mem", "512M",
                "--append", f"earlycon console=ttyAMA0 -- {init}", *options]
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, cwd=self.folder)
        self.assertEqual(done.returncode, 0, f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
        self.assertIn("power-off", done.stderr)
        return done

    def check_verdicts(self, console, cpus, checks):
        lines = console.replace("\r", "").splitlines()
        passed = [line for line in lines if line.startswith("PASS: ")]
        failed = [line for line in lines if line.startswith("FAIL: ")]
        self.assertEqual(failed, [])
        self.assertEqual(len(passed), checks, "\n".join(passed))
        self.assertIn(f"{cpus} CPUs", passed[0])

    def check_counting(self, cpus):
        done = self.boot("--smp", str(cpus))
        self.check_verdicts(done.stdout, cpus, CHECKS_OF_COUNTING + CHECKS_PER_CPU * cpus)

    def test_kernel_counts_and_samples_on_one_cpu(self):
        self.check_counting(1)

    def test_kernel_counts_and_samples_on_four_cpus(self):
        self.check_counting(4)

    def test_processes_threads_signals_and_debuggers_work(self):
        for cpus in [1, 3]:
            with self.subTest(cpus=cpus):
                done = self.boot("--smp", str(cpus), init="processes")
                self.check_verdicts(done.stdout, cpus, CHECKS_OF_PROCESSES)

    def test_same_boot_twice_is_the_same_report(self):
        reports = []
        for name in ["first.json", "second.json"]:
            self.boot("--smp", "2", "--json", name)
            reports.append((self.folder / name).read_bytes())
        self.assertEqual(*reports)

    def symbols_of_the_kernel(self):
        console = self.boot(init="kallsyms").stdout.replace("\r", "")
        symbols = self.folder / "kallsyms"
        symbols.write_text("".join(f"{line}\n" for line in console.splitlines() if SYMBOL.match(line)))
        return symbols

    def test_counted_from_outside_it_does_the_same(self):
        alone = self.boot()
        counted = self.boot("-e", "instructions:u,instructions:k,br_retired", "-x", ",", "-o", "counts",
                            command="stat")
        self.assertEqual(alone.stdout, counted.stdout)
        rows = [line.split(",") for line in (self.folder / "counts").read_text().splitlines()]
        counts = {row[2]: int(row[0]) for row in rows if len(row) > 2}
        retired = int(re.search(r"([0-9,]+) instructions", alone.stderr)[1].replace(",", ""))
        self.assertEqual(counts["instructions:u"] + counts["instructions:k"], retired)
        self.assertGreater(counts["br_retired"], retired // 100)

    def test_recorded_from_outside_its_functions_have_names(self):
        symbols = self.symbols_of_the_kernel()
        self.boot("-e", "instructions:k", "-c", "100003", "-g", "--guest-kallsyms", str(symbols), "-o", "profile",
                  command="record")
        folded = subprocess.run([arguments.vpmu, "export", "--format", "folded", "profile"], capture_output=True,
                                text=True, check=True, cwd=self.folder).stdout
        self.assertIn("kernel_init", folded)
        stacks = folded.splitlines()
        unnamed = [stack for stack in stacks if "unknown" in stack or ";0x" in stack]
        self.assertLess(len(unnamed), len(stacks) // 10)


def main():
    global arguments
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vpmu", required=True)
    parser.add_argument("--folder", required=True, help="where the kernel stays")
    parser.add_argument("--compiler", default="aarch64-linux-gnu-gcc")
    arguments, rest = parser.parse_known_args()
    arguments.vpmu = os.path.abspath(arguments.vpmu)
    arguments.folder = os.path.abspath(arguments.folder)
    program = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    skipped = program.result.skipped and program.result.wasSuccessful()
    sys.exit(77 if skipped else not program.result.wasSuccessful())


if __name__ == "__main__":
    main()
