# SPDX-License-Identifier: MIT
#
# Stock perf reads our recordings: guest samples as guest, names, stacks, branches, counts, and not
# one warning. What is expected of `profiled` is said in guests/common/profile/profiled.c.
import json
import re

from consumer import main
from perf_consumer import PerfConsumerTest

PERIOD = 1009
# Of 1,000 instructions.
SHARES = {"[g] work::tenth": 100, "[g] work::fifth": 200, "[u] user::most": 700}
STACKS = {
    "user::most": ["user::inner"] + ["user::middle"] * 4 + ["user_work", "user_begin"],
    "work::fifth": ["work::Tree::descend"] * 4 + ["work::branch", "kernel_work", "part",
                                                  "run_parts", "guest_main", "runtime_start", "start64"],
}


class PerfTest(PerfConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        event = ["-e", "instructions:p", "-c", PERIOD, "--append", "depth=3"]
        cls.stacks = cls.record("profiled", *event, "-g", output="stacks")
        cls.branches = cls.record("profiled", *event, "-b", output="branches")
        cls.two_vcpus = cls.record("profiled", *event, "--smp", 2, output="two_vcpus")
        cls.vpmu("run", cls.guest("profiled"), "--append", "depth=3", "--json", "run.json",
                 status=(1,))
        report = json.loads((cls.folder / "run.json").read_text())
        cls.instructions = report["vcpus"][0]["retired"]["instructions"]["total"]

    def test_there_is_a_sample_for_every_period_of_instructions(self):
        self.assertEqual(self.samples_by_statistics(self.stacks), self.instructions // PERIOD)
        self.assertEqual(self.samples_by_statistics(self.branches), self.instructions // PERIOD)

    def test_guest_samples_are_shown_as_the_guests_with_their_symbols_and_shares(self):
        samples = self.expect_shares(self.stacks, SHARES)
        self.assertEqual(sum(samples.values()), self.instructions // PERIOD)
        hosts = [symbol for symbol in samples if symbol[:3] not in ("[g]", "[u]")]
        self.assertEqual(hosts, [])

    def test_call_stacks_are_whole(self):
        self.expect_stacks(self.stacks, STACKS)

    def test_branch_stacks_are_of_the_guest(self):
        addresses = self.perf_on(self.branches, "script", "-F", "ip,sym,brstack")
        names = self.perf_on(self.branches, "script", "-F", "ip,brstacksym")
        for text in (addresses, names):
            self.assertEqual(len(text.strip().split("\n")), self.instructions // PERIOD)
        self.assertEqual(addresses.count("[unknown]"), 0)
        # perf looks up all of a stack as of the mode that was sampled: right behind a change of mode
        # there are branches from before that it does not find.
        self.assertLess(names.count("[unknown]"), names.count("/-/-/") / 1000)
        # The loop of user::most(): three bytes of DEC and two of JNZ, behind four of its frame.
        self.expect(r" 0x(\w+)7/0x\1[4]/P/-/-/\d+/", addresses)
        self.expect(r"user::most(\(.*?\))?\+0x7/user::most(\(.*?\))?\+0x4/P/", names)

    def test_callers_of_branches_are_indented(self):
        text = self.perf_on(self.branches, "script", "-F", "ip,sym,callindent")
        self.assertEqual(len(text.strip().split("\n")), self.instructions // PERIOD)

    def test_branch_history_names_functions(self):
        text = self.perf_on(self.branches, "report", "--stdio", "--branch-history")
        for symbol in SHARES:
            self.expect(re.escape(symbol), text)

    def test_the_branch_view_is_the_default_for_branches(self):
        text = self.perf_on(self.branches, "report", "--stdio")
        self.expect("Source Symbol +Target Symbol", text)
        self.expect(r"\] user::most +\[.\] user::most", text)

    def test_the_event_is_described(self):
        text = self.perf_on(self.stacks, "evlist", "-v")
        self.assertTrue(text.startswith("instructions:p"), text)
        for part in (f"sample_freq }}: {PERIOD}", "CALLCHAIN", "precise_ip: ", "exclude_host: 1"):
            self.assertIn(part, text)
        text = self.perf_on(self.branches, "evlist", "-v")
        self.assertIn("BRANCH_STACK", text)

    def test_whatever_is_recorded_is_read_without_a_complaint(self):
        image = self.guest("profiled")
        recordings = {
            "events": ["-e", "cycles:p,instructions:u,BR_INST_RETIRED.NEAR_TAKEN:k", "-c", 10007],
            "all": ["-c", 10007, "-g", "-b", "--smp", 2],
            "frequency": ["-F", 50000, "-a"],
            "calls": ["-c", 10007, "-j", "any_call,u"],
            "symbols": ["-c", 10007, "-g", "--symbols", image],
            "process": ["-c", 10007, "-g", "--layout", "process"],
            "branches_process": ["-c", 10007, "-b", "--layout", "process"],
            "two_events_process": ["-e", "cycles:k,instructions:p", "-c", 10007, "--layout", "process"],
        }
        for name, options in recordings.items():
            with self.subTest(recording=name):
                recording = self.record("profiled", *options, output=name)
                for words in (["report", "--stdio"], ["report", "--stats"], ["report", "--header-only"],
                              ["report", "--stdio", "--sort", "sym,cpu", "--no-children"],
                              ["script", "-F", "comm,tid,cpu,time,event,ip,sym,dso"],
                              ["evlist", "-v"], ["buildid-list"]):
                    self.perf_on(recording, *words)

    def test_two_vcpus_are_told_apart(self):
        # The second has half of the work.
        text = self.perf_on(self.two_vcpus, "script", "-F", "cpu,ip,sym")
        by_cpu = [text.count(f"[{cpu:03}]") for cpu in (0, 1)]
        self.assertEqual(sum(by_cpu), self.samples_by_statistics(self.two_vcpus))
        self.assertAlmostEqual(by_cpu[1] / sum(by_cpu), 0.5, delta=0.01)


if __name__ == "__main__":
    main()
