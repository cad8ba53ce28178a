# SPDX-License-Identifier: MIT
#
# A recording that is killed leaves a file that opens, wherever it was: killed when the file has grown
# to sizes drawn from a fixed seed, which is at a different place of the writer every time.
import os
import random
import re
import time

from consumer import ConsumerTest, find_tool, main

KILLS = 60
SMALLEST, LARGEST = 1, 12 << 20  # bytes
# A file, a file for optimizers, a directory.
FORMS = ("--layout guest", "--layout process", "--symbols")
# What may be missing at its end, and what a sample takes at most.
UNFINISHED, SAMPLE = 1 << 20, 2048


def size_of(recording):
    """Of a file, or of the one in a directory."""
    try:
        path = recording / "data" if recording.is_dir() else recording
        return path.stat().st_size
    except OSError:
        return 0


class KilledTest(ConsumerTest):
    def kill_at(self, size, name, *options):
        recording = self.folder / name
        with self.start(self.vpmu_command(), "record", self.guest("profiled"), "--append", "parts=100000",
                        "-e", "instructions:p", "-c", 211, "-g", "-b", *options,
                        "-o", recording) as process:
            while size_of(recording) < size and process.poll() is None:
                time.sleep(0)
            self.assertIsNone(process.poll(), "it has ended before it could be killed")
            process.kill()
            process.communicate()
        return recording

    def test_what_it_leaves_opens(self):
        perf = find_tool("perf")
        sizes = random.Random(20240607)
        for kill in range(KILLS):
            size = sizes.choice((SMALLEST, sizes.randint(SMALLEST, 4096),
                                 sizes.randint(SMALLEST, LARGEST)))
            form = FORMS[kill % len(FORMS)]
            with self.subTest(size=size, form=form):
                recording = self.kill_at(size, f"killed{kill}", *form.split(),
                                         *[self.guest("profiled")] * form.endswith("--symbols"))
                statistics = self.read(perf, "report", "-i", recording, "--stats")
                read = sum(map(int, re.findall(r"SAMPLE events: +(\d+)", statistics)))
                self.assertGreaterEqual(read, (size_of(recording) - UNFINISHED) // SAMPLE)
                self.vpmu("report", recording)


if __name__ == "__main__":
    main()
