#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Runs the commands of a howto and compares what they print with what the howto says:
#
#   run_howto.py HOWTO.md --vpmu VPMU --guests FOLDER --source FOLDER [--needs TOOL]...
#
# Without a tool that it needs it ends with status 77, or fails if VPMU_CONSUMERS=required is in the
# environment.
# * A ```sh block that starts with `build/release/vpmu` or a cross compiler: each line is run by a shell, in a folder
#   where build/release is what it is in a built tree. It must end with status 0 or 1 (what a guest that
#   has passed ends with), or with N if the line ends with `# status N`.
# * The ```text block behind it: each line appears in what the commands printed, in this order. A line
#   `...` stands for anything.
# * A ```toml block that begins with `# NAME.toml`, or ```asm with `// NAME.S`, is that file, for the commands behind it.
# * A ```c block: these lines are in some file below guests/ or examples/, but for spaces and line breaks.
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

COMMANDS = ("build/release/vpmu", "aarch64-linux-gnu-gcc")


def blocks(text):
    """(language, content, line number) of every fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match[1], match[2], text.count("\n", 0, match.start()) + 2


def run(line, folder):
    wanted = re.search(r"# status (\d+)\s*$", line)
    done = subprocess.run(["bash", "-c", line], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60)
    right = [int(wanted[1])] if wanted else [0, 1]
    problem = f"ends with status {done.returncode}" if done.returncode not in right else None
    if not wanted and re.search(r"^(FAIL|PANIC):", done.stdout, re.MULTILINE):
        problem = "the guest reports a failure"
    return done.stdout, problem


def first_missing(expected, output):
    """The first line of `expected` that does not follow in `output`."""
    lines = iter(line.strip() for line in output.replace("\r", "").split("\n"))
    for line in expected.strip("\n").split("\n"):
        if line.strip() != "..." and not any(line.strip() == seen for seen in lines):
            return line
    return None


def normal(text):
    """As if all of it were one line."""
    return " ".join(text.split())


def check(howto, folder, sources):
    problems, commands, output = [], 0, ""
    for language, content, number in blocks(howto.read_text()):
        where = f"{howto.name}:{number}"
        if language == "sh" and content.startswith(COMMANDS):
            output = ""
            for line in re.sub(r"\\\n", " ", content).strip().split("\n"):
                printed, problem = run(line, folder)
                commands += 1
                output += printed
                if problem:
                    problems.append(f"{where}: {line}\n  {problem}\n{printed}")
        elif language == "text":
            missing = first_missing(content, output)
            if missing is not None:
                problems.append(f"{where}: not printed: {missing}\n{output}")
        elif language in ("toml", "asm"):
            name = re.match(r"(?:#|//) ([\w.-]+\.(?:toml|S))\n", content)
            if name:
                (pathlib.Path(folder) / name[1]).write_text(content)
        elif language == "c" and not any(normal(content) in source for source in sources):
            problems.append(f"{where}: no guest or example has these lines")
    return commands, problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("howto", type=pathlib.Path)
    parser.add_argument("--vpmu", type=pathlib.Path, required=True)
    parser.add_argument("--guests", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--needs", action="append", default=[])
    arguments = parser.parse_args()
    for tool in arguments.needs:
        if shutil.which(tool) is None:
            print(f"SKIPPED: {tool} is not there; tools/install-deps consumers installs it",
                  file=sys.stderr)
            sys.exit(1 if os.environ.get("VPMU_CONSUMERS") == "required" else 77)

    sources = [normal(path.read_text()) for folder in ("guests", "examples")
               for path in (arguments.source / folder).rglob("*.[ch]")]
    with tempfile.TemporaryDirectory() as folder:
        release = pathlib.Path(folder) / "build" / "release"
        release.mkdir(parents=True)
        os.symlink(arguments.vpmu.resolve(), release / "vpmu")
        os.symlink(arguments.guests.resolve(), release / "guests")
        commands, problems = check(arguments.howto, folder, sources)
    print(f"{arguments.howto.name}: {commands} commands")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
