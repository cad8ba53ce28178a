# SPDX-License-Identifier: MIT
#
# Optimizers take our recordings: BOLT makes `bolted` take fewer branches and print the same,
# llvm-profgen makes a profile for the compiler.
import json
import re

from consumer import ConsumerTest, find_tool, main


class OptimizersTest(ConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        find_tool("perf")  # both start it
        cls.record("bolted", "-e", "cycles:p", "-c", 10007, "-b", "--layout", "process")

    def run_guest(self, image):
        """What it prints, and how many branches it takes."""
        console, _ = self.vpmu("run", image, "--json", "run.json", status=(1,))
        report = json.loads((self.folder / "run.json").read_text())
        return console, report["vcpus"][0]["retired"]["taken-branches"]["total"]

    def test_perf2bolt_understands_every_sample(self):
        # By its own name: it is what it is called.
        perf2bolt = find_tool("/usr/lib/llvm-16/bin/perf2bolt", "perf2bolt")
        said, errors = self.run_command(perf2bolt, "-p", "perf.data", "-o", "bolted.fdata",
                                        self.guest("bolted"))
        said += errors
        samples, records = map(int, re.search(r"read (\d+) samples and (\d+) LBR", said).groups())
        self.assertGreater(samples, 2000)
        self.assertEqual(records, 32 * samples)
        self.assertIn("0 samples (0.0%) were ignored", said)
        self.assertIn("mismatching disassembled function contents: 0 (0.0%)", said)

    def test_the_optimised_guest_prints_the_same_and_takes_fewer_branches(self):
        bolt = find_tool("llvm-bolt-16", "llvm-bolt")
        self.run_command(bolt, self.guest("bolted"), "-p", "perf.data", "-o", "faster.elf",
                         "-reorder-blocks=ext-tsp", "-reorder-functions=hfsort+",
                         "-split-functions")
        console, before = self.run_guest(self.guest("bolted"))
        faster_console, after = self.run_guest("faster.elf")
        self.assertRegex(console, "words, checksum [0-9a-f]+")
        self.assertEqual(faster_console, console)
        self.assertLess(after, 0.8 * before)

    def test_llvm_profgen_names_the_hot_functions(self):
        profgen = find_tool("llvm-profgen-14", "llvm-profgen")
        self.run_command(profgen, "--binary=" + self.guest("bolted"), "--perfdata=perf.data",
                         "--format=text", "--output=bolted.prof")
        functions = re.findall(r"^(\w+):(\d+):\d+$", (self.folder / "bolted.prof").read_text(),
                               re.MULTILINE)
        samples = {name: int(count) for name, count in functions}
        for hot in ("read_word", "make_log", "count_word", "put_word"):
            self.assertGreater(samples.get(hot, 0), 1000, hot)


if __name__ == "__main__":
    main()
