#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# Runs `vpmu doctor` and `vpmu doctor --json` on this machine, as this user and, where that is
# possible, as one without rights, and holds what they say against what this script sees itself.
#
#   doctor_on_this_machine.py VPMU
import ctypes
import errno
import json
import os
import platform
import struct
import subprocess
import sys

RESULTS = {"ok", "warning", "missing", "denied", "failed", "skipped"}
NOBODY = 65534
SYSCALL = {"x86_64": 298, "aarch64": 241}.get(platform.machine())


def check(condition, message):
    if not condition:
        sys.exit(f"FAIL: {message}")


def hardware_errno():
    """What perf_event_open gives for cycles of user code."""
    # type, size, config, sample period, sample type, read format, flags: disabled, exclude kernel and hypervisor
    attr = struct.pack("=IIQQQQQ", 0, 64, 0, 0, 0, 0, 1 | 1 << 5 | 1 << 6).ljust(64, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(ctypes.c_long(SYSCALL), attr, ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(-1), ctypes.c_ulong(0))
    if fd >= 0:
        os.close(fd)
        return 0
    return ctypes.get_errno()


def kvm_errno():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return 0
    except OSError as error:
        return error.errno


def verdict(vpmu):
    """Everything that must be true for whoever runs this."""
    done = subprocess.run([vpmu, "doctor", "--json"], capture_output=True, text=True)
    check(done.returncode == 0, f"doctor --json ended with {done.returncode}: {done.stderr}")
    check(done.stderr == "", f"standard error: {done.stderr}")
    report = json.loads(done.stdout)
    check(report["doctor"] == 1 and report["runs_guests"] is True, "header of the JSON")
    checks = {each["name"]: each for each in report["checks"]}
    check(len(checks) == len(report["checks"]), "names are not unique")
    for each in checks.values():
        check(set(each) == {"name", "result", "detail", "cause", "remedy"}, f"fields of {each}")
        check(each["result"] in RESULTS, f"result of {each}")
        check(each["result"] == "ok" or each["cause"], f"no cause: {each}")

    if SYSCALL:
        error = hardware_errno()
        hardware = checks["perf.hardware"]
        words = " ".join(hardware.values())
        if error == 0:
            check(hardware["result"] == "ok", f"cycles open, but: {hardware}")
        if error == errno.ENOENT:
            check(hardware["result"] == "missing" and "no PMU" in words, f"there is no PMU, but: {hardware}")
            check("permission" not in words, f"permission is not the problem: {hardware}")
        if error in (errno.EACCES, errno.EPERM):
            check(hardware["result"] == "denied", f"permission is the problem, but: {hardware}")
            check("no PMU" not in json.dumps(report), "no permission was called no PMU")
    error = kvm_errno()
    device = checks["kvm.device"]
    check((device["result"] == "ok") == (error == 0), f"errno {error}, but: {device}")
    if error == errno.EACCES:
        check(device["result"] == "denied", f"{device}")
    if error == errno.ENOENT:
        check(device["result"] == "missing", f"{device}")

    done = subprocess.run([vpmu, "doctor"], capture_output=True, text=True)
    check(done.returncode == 0, f"doctor ended with {done.returncode}")
    check(done.stdout.startswith("`vpmu run` works here"), "first line")
    for name in checks:
        check(name.split(".", 1)[1] in done.stdout, f"{name} is not in the text")
    for line in done.stdout.splitlines():
        check(len(line) <= 100 or " " not in line.strip(), f"long line: {line}")
    check("\x1b" not in done.stdout, "colour in a pipe")


def main():
    vpmu = os.path.abspath(sys.argv[1])
    verdict(vpmu)
    if os.geteuid() != 0:
        return
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        if not os.access(vpmu, os.X_OK):
            print("another user cannot run the program where it is: checked as root only")
            os._exit(0)
        try:
            verdict(vpmu)
        except SystemExit as end:
            print(f"as user {NOBODY}: {end}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    check(status == 0, "as another user")


if __name__ == "__main__":
    main()
