# SPDX-License-Identifier: MIT
#
# Stock perf reads recordings of AArch64 guests, too, on whatever host: names, shares, call stacks. What is
# expected of `profiled` is said in guests/common/profile/profiled.c.
import json

from consumer import main
from perf_consumer import PerfConsumerTest

PERIOD = 1009
# Of 1,000 instructions.
SHARES = {"[g] work::tenth": 100, "[g] work::fifth": 200, "[u] user::most": 700}
KERNEL = ["kernel_work", "part", "run_parts", "guest_main", "runtime_start", "guest_entry"]
STACKS = {
    "user::most": ["user::inner"] + ["user::middle"] * 4 + ["user_work", "user_begin"],
    "work::fifth": ["work::Tree::descend"] * 4 + ["work::branch"] + KERNEL,
    "work::tenth": ["work::leaf", "work::branch"] + KERNEL,
}


class PerfArm64Test(PerfConsumerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        profiled = "../arm64/profiled"
        cls.recording = cls.record(profiled, "-e", "instructions:p", "-c", PERIOD, "-g", "--append", "depth=3")
        cls.vpmu("run", cls.guest(profiled), "--append", "depth=3", "--json", "run.json", status=(1,))
        report = json.loads((cls.folder / "run.json").read_text())
        cls.instructions = report["vcpus"][0]["retired"]["instructions"]["total"]

    def test_there_is_a_sample_for_every_period_of_instructions(self):
        self.assertEqual(self.samples_by_statistics(self.recording), self.instructions // PERIOD)

    def test_samples_have_symbols_and_shares(self):
        # A hundredth is what the runtime does until it gets there.
        self.expect_shares(self.recording, SHARES, delta=10)

    def test_call_stacks_are_whole(self):
        self.expect_stacks(self.recording, STACKS)

    def test_the_file_says_what_it_was_recorded_on(self):
        text = self.perf_on(self.recording, "report", "--header-only")
        self.expect("# arch : aarch64\n", text)
        self.expect("# cpudesc : neoverse-n1\n", text)
        # As /sys/.../midr_el1 has it, without variant and revision.
        self.expect("# cpuid : 0x00000000410fd0c0\n", text)


if __name__ == "__main__":
    main()
