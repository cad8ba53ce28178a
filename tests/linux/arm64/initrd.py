#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes an initial RAM disk: a cpio archive ("newc") whose only program is /init, with the folders it mounts on
and the files that it is to find."""
import argparse
import pathlib
import stat

FOLDERS = ["dev", "proc", "sys"]
BLOCK = 4


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK)


def entry(number, name, mode, data=b"", device=(0, 0)):
    """One member: a header of 13 numbers in hexadecimal, the name, the contents, each padded to 4 bytes."""
    path = name.encode() + b"\0"
    links, owner, group, time, checksum = 1, 0, 0, 0, 0
    fields = [number, mode, owner, group, links, time, len(data), 0, 0, *device, len(path), checksum]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + path) + padded(data)


def archive(init, files=None):
    """`files`: contents of files at the root, by name."""
    members = [(name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in FOLDERS]
    members.append(("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
    members.append(("init", stat.S_IFREG | 0o755, init, (0, 0)))
    members += [(name, stat.S_IFREG | 0o644, data, (0, 0)) for name, data in sorted((files or {}).items())]
    whole = b"".join(entry(number, *member) for number, member in enumerate(members, 1))
    return whole + entry(0, "TRAILER!!!", 0)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("init", type=pathlib.Path, help="a static program for AArch64")
    arguments.add_argument("output", type=pathlib.Path)
    arguments.add_argument("files", type=pathlib.Path, nargs="*", help="what else it has at its root")
    given = arguments.parse_args()
    files = {file.name: file.read_bytes() for file in given.files}
    given.output.write_bytes(archive(given.init.read_bytes(), files))


if __name__ == "__main__":
    main()
