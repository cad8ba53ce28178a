#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian's arm64 kernel with an init of ours, which has Linux count and sample on every CPU."""
import re

from linux_guest import LinuxTest, main

SYMBOL = re.compile("[0-9a-f]{16} . ")
CHECKS_PER_CPU = 7
CHECKS_OF_COUNTING = 3
CHECKS_OF_PROCESSES = 16


class BootTest(LinuxTest):
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
        folded = self.vpmu("export", "--format", "folded", "profile")
        self.assertIn("kernel_init", folded)
        stacks = folded.splitlines()
        unnamed = [stack for stack in stacks if "unknown" in stack or ";0x" in stack]
        self.assertLess(len(unnamed), len(stacks) // 10)


if __name__ == "__main__":
    main(__doc__)
