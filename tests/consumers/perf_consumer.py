# SPDX-License-Identifier: MIT
#
# Stock perf on a recording.
import re
import subprocess

from consumer import ConsumerTest, find_tool


def short(symbol):
    """Without the namespaces that have no name, and without what follows the name."""
    return re.sub(r"\(.*?\)$", "", symbol.replace("(anonymous namespace)::", "")).strip()


class PerfConsumerTest(ConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.perf = find_tool("perf")

    def perf_on(self, recording, command, *words):
        """What perf prints. It does not demangle kernel symbols."""
        text = self.read(self.perf, command, "-i", recording, *words)
        return subprocess.run(["c++filt"], input=text, stdout=subprocess.PIPE, text=True,
                              check=True).stdout

    def samples_by_symbol(self, recording):
        table = self.perf_on(recording, "report", "--stdio", "--no-children", "-g", "none",
                             "-F", "sample,sym")
        return {short(match[2]): int(match[1])
                for match in re.finditer(r"^ +(\d+) +(\[.\] \S.*?) *$", table, re.MULTILINE)}

    def samples_by_statistics(self, recording):
        statistics = self.perf_on(recording, "report", "--stats")
        return int(re.search(r"SAMPLE events: +(\d+)", statistics)[1])

    def expect_shares(self, recording, shares, delta=5):
        """Samples by symbol, of which some have known shares, in thousandths."""
        samples = self.samples_by_symbol(recording)
        total = sum(samples.values())
        for symbol, share in shares.items():
            self.assertAlmostEqual(samples.get(symbol, 0) * 1000 / total, share, delta=delta, msg=symbol)
        return samples

    def expect_stacks(self, recording, stacks_of):
        text = self.perf_on(recording, "script", "-F", "ip,sym")
        stacks = {}
        for sample in text.strip().split("\n\n"):
            frames = [short(line.split(None, 1)[1]) for line in sample.strip().split("\n")]
            stacks.setdefault(frames[0], []).append(frames)
        for leaf, callers in stacks_of.items():
            # While a function makes its frame, or takes it down, its caller is missing.
            whole = stacks[leaf].count([leaf] + callers)
            self.assertGreater(whole / len(stacks[leaf]), 0.99, stacks[leaf][:2])
