# SPDX-License-Identifier: MIT
#
# Folded stacks and speedscope's JSON of one recording say the same, and what the recording says.
import json
import re
from collections import Counter

from consumer import ConsumerTest, find_tool, main

PERIOD = 1009


class TextFormatsTest(ConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.record("profiled", "-e", "instructions:p", "-c", PERIOD, "-g", "--smp", 2)
        cls.vpmu("export", "perf.data", "--format", "folded", "-o", "folded.txt")
        cls.vpmu("export", "perf.data", "--format", "speedscope", "-o", "speedscope.json")
        cls.folded = Counter()
        for line in (cls.folder / "folded.txt").read_text().splitlines():
            stack, weight = line.rsplit(" ", 1)
            cls.folded[stack] += int(weight)
        cls.speedscope = json.loads((cls.folder / "speedscope.json").read_text())

    def test_folded_stacks_are_sorted_and_have_the_shares_of_the_guest(self):
        lines = (self.folder / "folded.txt").read_text().splitlines()
        self.assertEqual(lines, sorted(lines))
        total = sum(self.folded.values())
        for leaf, share in (("work::tenth", 0.1), ("work::fifth", 0.2), ("user::most", 0.7)):
            samples = sum(weight for stack, weight in self.folded.items()
                          if stack.split(";")[-1].startswith(leaf))
            self.assertAlmostEqual(samples / total, share, delta=0.01, msg=leaf)

    def test_speedscope_follows_its_schema(self):
        self.assertEqual(self.speedscope["$schema"],
                         "https://www.speedscope.app/file-format-schema.json")
        frames = self.speedscope["shared"]["frames"]
        self.assertTrue(all(frame["name"] for frame in frames))
        for profile in self.speedscope["profiles"]:
            self.assertEqual(profile["type"], "sampled")
            self.assertIn(profile["unit"], ("none", "nanoseconds", "microseconds", "milliseconds",
                                            "seconds", "bytes"))
            self.assertEqual(len(profile["samples"]), len(profile["weights"]))
            self.assertEqual(profile["endValue"] - profile["startValue"], sum(profile["weights"]))
            self.assertTrue(all(0 <= index < len(frames)
                                for stack in profile["samples"] for index in stack))

    def test_speedscope_has_a_profile_for_each_vcpu(self):
        self.assertEqual(len(self.speedscope["profiles"]), 2)

    def test_speedscope_weighs_as_much_as_the_folded_stacks(self):
        frames = self.speedscope["shared"]["frames"]
        leaves = Counter()
        for profile in self.speedscope["profiles"]:
            for stack, weight in zip(profile["samples"], profile["weights"]):
                leaves[frames[stack[-1]]["name"].split("(")[0]] += weight
        folded_total = sum(self.folded.values())
        total = sum(leaves.values())
        self.assertIn(total, (folded_total, folded_total * PERIOD))
        self.assertAlmostEqual(leaves["user::most"] / total, 0.7, delta=0.01)

    def test_perf_script_and_ours_say_the_same(self):
        perf = find_tool("perf")
        ours, _ = self.vpmu("export", "perf.data", "--format", "script")
        theirs = self.read(perf, "script", "-i", "perf.data", "-F", "comm,pid,tid,ip,sym")
        count = lambda text: Counter(re.findall(r"^\s+[0-9a-f]+ (\w+(?:::\w+)*)", text, re.MULTILINE))
        self.assertEqual(count(ours)["guest_main"], count(theirs)["guest_main"])


if __name__ == "__main__":
    main()
