# SPDX-License-Identifier: MIT
#
# The same guest, recorded twice, gives the same file.
from consumer import ConsumerTest, main


def contents(recording):
    """{name: bytes} of a file, or of those in a directory."""
    if recording.is_file():
        return {"": recording.read_bytes()}
    return {str(path.relative_to(recording)): path.read_bytes()
            for path in recording.rglob("*") if path.is_file()}


class RepeatedTest(ConsumerTest):
    def check(self, *options):
        first = contents(self.record("profiled", *options, output="first"))
        second = contents(self.record("profiled", *options, output="second"))
        self.assertEqual(first.keys(), second.keys())
        for name, content in first.items():
            self.assertEqual(len(content), len(second[name]), name)
            different = [i for i, (a, b) in enumerate(zip(content, second[name])) if a != b]
            self.assertEqual(different, [], name)

    def test_with_call_stacks_and_branches(self):
        self.check("-e", "cycles:p", "-c", 1009, "-g", "-b")

    def test_by_frequency_with_two_vcpus(self):
        self.check("-F", 100000, "--smp", 2)


if __name__ == "__main__":
    main()
