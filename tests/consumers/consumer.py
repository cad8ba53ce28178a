# SPDX-License-Identifier: MIT
#
# What the tests of consumers share: recordings of guests, and tools that are run on them and may not
# complain. A tool that is missing skips the test, and the program ends with status 77; with
# VPMU_CONSUMERS=required in the environment it fails.
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

arguments = None


def find_tool(*names):
    """The path of the first that is there: names of commands, or absolute paths of files."""
    for name in names:
        path = shutil.which(name) or (name if os.path.isfile(name) else None)
        if path:
            return path
    message = f"{names[0]} is not there; tools/install-deps consumers installs it"
    if os.environ.get("VPMU_CONSUMERS") == "required":
        raise AssertionError(message)
    print(f"SKIPPED: {message}", file=sys.stderr)
    raise unittest.SkipTest(message)


class ConsumerTest(unittest.TestCase):
    """Each class has a folder of its own, in which everything runs."""

    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix=f"{cls.__name__}.")
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = pathlib.Path(scratch.name)

    @staticmethod
    def guest(name):
        return str(arguments.guests / f"{name}.elf")

    @classmethod
    def start(cls, *command, **options):
        # perf keeps things below HOME, and looks at it for settings.
        environment = dict(os.environ, HOME=str(cls.folder), LC_ALL="C.UTF-8", PAGER="cat")
        return subprocess.Popen([str(word) for word in command], cwd=cls.folder, env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)

    @classmethod
    def run_command(cls, *command, status=(0,)):
        """(standard output, standard error). An error if it does not end with one of `status`."""
        process = cls.start(*command)
        output, errors = (text.decode(errors="replace") for text in process.communicate(timeout=120))
        if process.returncode not in status:
            raise AssertionError(f"{' '.join(map(str, command))}: status {process.returncode}\n"
                                 f"{output[-3000:]}\n{errors[-3000:]}")
        return output, errors

    @staticmethod
    def vpmu_command():
        return arguments.vpmu

    @classmethod
    def vpmu(cls, *words, status=(0,)):
        return cls.run_command(arguments.vpmu, *words, status=status)

    @classmethod
    def record(cls, guest, *options, output="perf.data"):
        """The recording's path. Guests that have passed end with status 1."""
        cls.vpmu("record", cls.guest(guest), *options, "-o", output, status=(0, 1))
        return cls.folder / output

    def expect(self, pattern, text):
        """As assertRegex, with a message that can be read."""
        self.assertTrue(re.search(pattern, text), f"no {pattern} in\n{text[:2000]}")

    def read(self, tool, *words):
        """What the tool prints; it may print nothing to standard error."""
        output, errors = self.run_command(tool, *words)
        self.assertEqual(errors, "", f"{tool} {' '.join(map(str, words))} complains")
        return output


def main():
    global arguments
    parser = argparse.ArgumentParser()
    parser.add_argument("--vpmu", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--guests", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--spe-truth", type=lambda path: pathlib.Path(path).resolve())
    arguments, rest = parser.parse_known_args()
    program = unittest.main(argv=sys.argv[:1] + rest, module="__main__", exit=False, verbosity=2)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if program.result.skipped else 0)
