#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Linux's own driver for the Statistical Profiling Extension, in a guest that has the unit (--guest-spe), and its
records on the way to the host: --spe-dump, `vpmu report --spe`, and stock perf.
"""
import json
import re
import struct
import sys

from linux_guest import HERE, LinuxTest, main, skip

sys.path += [str(HERE.parents[1] / "consumers"), str(HERE.parents[1] / "guest" / "arm64")]
from consumer import find_tool
from perf_consumer import PerfConsumerTest
from spe_dumps import streams

CHECKS, CHECKS_PER_CPU = 10, 20
CHECKS_OF_RECORDS, CHECKS_OF_SELDOM = 6, 26
FLAVOURS = ["vhe", "nvhe", "protected"]
# What Linux makes of PMSIDR_EL1, and of PMBIDR_EL1.
CAPS = "arch_inst=1 ernd=1 count_size=12 min_interval=1024"
PROBED = "max_record_sz 64, align 64, features 0x3f"
SLOT = 64
# Both CPUs profile then.
MIDDLE = 920_000_000

# Packets, by their header.
END, TIMESTAMP, CONTEXT, PC, VIRTUAL, PHYSICAL, LATENCY = 0x01, 0x71, 0x64, 0xb0, 0xb2, 0xb3, 0x98
MEMORY, BRANCH_TARGET = 0x49, 0xb1
ADDRESS_BITS = (1 << 56) - 1


def packets(slot):
    """What is in a record, {header: number}, and its length without padding."""
    found, at = {}, 0
    while True:
        header = slot[at]
        size = 0 if header == END else 1 << (header >> 4 & 3)
        found[header] = int.from_bytes(slot[at + 1:at + 1 + size], "little")
        at += 1 + size
        if header in (END, TIMESTAMP):
            return found, at


def slots(stream):
    return [stream[at:at + SLOT] for at in range(0, len(stream), SLOT)]


def checksum(data):
    """FNV-1a."""
    total = 0xcbf29ce484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return total


class SpeGuestTest(LinuxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.driver:
            skip("VPMU_LINUX_IMAGE needs its driver in VPMU_LINUX_SPE_DRIVER")

    @classmethod
    def profile(cls, *options, cpus=2, init="spe", spe="on"):
        """What the guest has printed, and its dump."""
        done = cls.boot("--smp", cpus, "--guest-spe", spe, "--spe-dump", "guest.spe", *options, init=init)
        return done.stdout, cls.folder / "guest.spe"


class DriverTest(SpeGuestTest):

    def check_profile(self, *options, cpus, **choice):
        console, dump = self.profile(*options, cpus=cpus, **choice)
        self.check_verdicts(console, cpus, CHECKS + CHECKS_PER_CPU * cpus)
        self.assertIn(f"probed for CPUs {f'0-{cpus - 1}' if cpus > 1 else 0} [{PROBED}]", console)
        self.assertIn(f"PASS: caps: {CAPS}", console)
        self.check_sum(console, dump)
        return dump.read_bytes()

    def check_sum(self, console, dump):
        """What Linux has handed to its users is what the unit has written, nothing more or less."""
        records, total = re.search("in all: ([0-9]+) records, sum ([0-9a-f]+)", console).groups()
        written = [slot[:packets(slot)[1]] for stream in streams(dump) for slot in slots(stream)]
        self.assertEqual(len(written), int(records))
        self.assertEqual(sum(map(checksum, written)) % (1 << 64), int(total, 16))

    def test_driver_profiles_on_one_cpu(self):
        self.check_profile(cpus=1)

    def test_driver_profiles_on_three_cpus(self):
        self.check_profile(cpus=3)

    def test_driver_profiles_with_spe_of_other_models(self):
        for model in ["neoverse-v1", "armv8.5"]:
            with self.subTest(model=model):
                self.check_profile("--cpu", model, cpus=2)

    def test_flavours_of_the_hypervisor_and_repetitions_are_the_same_bytes(self):
        dumps = [self.check_profile(cpus=2, spe=f"flavour={flavour}") for flavour in ["vhe", *FLAVOURS]]
        for dump, flavour in zip(dumps[1:], FLAVOURS, strict=True):
            self.assertTrue(dump == dumps[0], flavour)

    def test_saved_in_the_middle_it_profiles_on(self):
        whole = self.check_profile(cpus=2)
        (self.folder / "whole.spe").write_bytes(whole)
        for name, stop, end, go_on in [
                ("running", [], "instruction-limit (status 124)", []),
                ("stopped", ["--spe-at", "0=exit"], "entry-refused (status 125)", ["--spe-at", f"{MIDDLE}=resume"])]:
            with self.subTest(name):
                saved = self.folder / f"{name}.snapshot"
                self.boot("--smp", 2, "--guest-spe", "on", "--spe-dump", "first.spe", *stop, "--save-at",
                          f"{MIDDLE}={saved}", "--max-instructions", MIDDLE, init="spe", end=end)
                self.vpmu("run", "--restore", saved, "--spe-dump", "second.spe", *go_on)
                first, second = (streams(self.folder / f"{part}.spe") for part in ("first", "second"))
                self.assertEqual(all(map(len, first)), not stop)
                self.assertTrue(all(map(len, second)))
                joined = [b"".join(parts) for parts in zip(first, second, strict=True)]
                self.assertTrue(joined == streams(self.folder / "whole.spe"))

    def test_buffers_that_are_overwritten_cpus_and_drivers_that_go(self):
        console, _ = self.profile(init="spe-seldom")
        self.check_verdicts(console, 2, CHECKS_OF_SELDOM)

    def test_without_the_unit_there_is_no_driver(self):
        console = self.boot("--guest-spe", "off", init="spe").stdout
        self.assertNotIn("arm_spe_pmu spe-pmu", console)
        self.assertEqual(self.lines(console, "FAIL: ")[0], "FAIL: arm_spe_0 has event type -1")


class HostTest(SpeGuestTest, PerfConsumerTest):
    """Every record, as the guest's Linux has it and as the host's tools do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.perf = find_tool("perf")
        cls.console, cls.dump = cls.profile(cpus=2, init="spe-records")
        cls.records = [(int(vcpu), bytes.fromhex(digits))
                       for _, vcpu, digits in map(str.split, cls.lines(cls.console, "RECORD "))]

    def time_of(self, ticks):
        """In nanoseconds."""
        shift, multiplier, zero = struct.unpack_from("<QQQ", self.dump.read_bytes(), 24)
        return zero + (ticks * multiplier >> shift)

    def sample_of(self, vcpu, record):
        """What perf says of a record."""
        found, length = packets(record)
        self.assertEqual(length, len(record))
        pc = found[PC] & ADDRESS_BITS
        if pc >> 55:
            pc |= 0xff << 56
        address = found.get(VIRTUAL, found.get(BRANCH_TARGET, 0))
        return (found[CONTEXT], vcpu, self.time_of(found[TIMESTAMP]), pc, found[LATENCY],
                address if MEMORY in found else None,
                found.get(PHYSICAL, 0) & ADDRESS_BITS if MEMORY in found else None)

    def test_records_are_those_of_the_dump(self):
        self.check_verdicts(self.console, 2, CHECKS_OF_RECORDS + 2)
        self.assertGreater(len(self.records), 1000)
        for vcpu, stream in enumerate(streams(self.dump)):
            printed = b"".join(bytes_.ljust(SLOT, b"\0") for cpu, bytes_ in self.records if cpu == vcpu)
            self.assertTrue(printed == stream, f"vCPU {vcpu}")

    def test_perf_makes_a_sample_of_each(self):
        self.vpmu("export", "--format", "perf.data", self.dump, "-o", "perf.data")
        text = self.perf_on("perf.data", "script", "--itrace=i1i", "--ns", "-F",
                            "tid,cpu,time,ip,addr,phys_addr,data_src,weight")
        pattern = (r" *(\d+) \[(\d+)\] +(\d+)\.(\d{9}): +([0-9a-f]+) +[0-9a-f]+ \|OP (\S+?)\|.*\|BLK +\S+ +"
                   r"(\d+) +([0-9a-f]+) +([0-9a-f]+)$")
        found = []
        for line in text.strip().split("\n"):
            self.assertRegex(line, pattern)
            tid, cpu, seconds, ns, addr, operation, weight, ip, physical = re.match(pattern, line).groups()
            memory = operation in ("LOAD", "STORE")
            found.append((int(tid), int(cpu), int(seconds) * 10 ** 9 + int(ns), int(ip, 16), int(weight),
                          int(addr, 16) if memory else None, int(physical, 16) if memory else None))
        expected = [self.sample_of(*record) for record in self.records]
        self.assertEqual(sorted(found, key=str), sorted(expected, key=str))

    def test_hot_loads_have_names(self):
        report = json.loads(self.vpmu("report", "--spe", "--json", "--symbols", self.init, self.dump))
        self.assertEqual(report["records"], len(self.records))
        loads = sum(packets(record)[0].get(MEMORY, 1) % 2 == 0 for _, record in self.records)
        self.assertEqual(report["all"]["loads"], loads)
        hottest = max(report["rows"], key=lambda row: row["latency"])
        self.assertEqual((hottest["kind"], hottest["symbol"]), ("u", "hot_loop"))
        self.assertGreater(hottest["loads"], loads // 2)


if __name__ == "__main__":
    main(__doc__)
