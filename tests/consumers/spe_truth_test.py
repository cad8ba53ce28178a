# SPDX-License-Identifier: MIT
#
# Every operation that `vpmu record --spe` samples, in the packets and samples that stock perf makes of its
# file, is what spe_truth found out on a machine that samples nothing: as many, in the same order, all
# that is said of each.
import re

import consumer
from consumer import main
from perf_consumer import PerfConsumerTest

INTERVAL = 256
EVENTS = {1: "RETIRED", 2: "L1D-ACCESS", 3: "L1D-REFILL", 4: "TLB-ACCESS", 5: "TLB-REFILL", 6: "NOT-TAKEN",
          7: "MISPRED", 8: "LLC-ACCESS", 9: "LLC-REFILL", 11: "ALIGNMENT"}
SOURCES = {"L1": 0, "L2": 8, "LLC": 11, "DRAM": 14}
LEVELS = {"L1": "L1 or L1 hit", "L2": "L2 or L2 hit", "LLC": "L3 or L3 hit", "DRAM": "Local RAM or RAM hit"}


def operation_text(kind):
    """What perf calls it."""
    what, *words = kind.split(",")
    if what == "other":
        return "OTHER COND-SELECT" if words else "OTHER INSN-OTHER"
    if what == "branch":
        return {"": "B", "conditional": "B COND", "indirect": "B IND"}[" ".join(words)]
    extended = "".join(f" {short}" for long, short in
                       (("atomic", "AT"), ("exclusive", "EXCL"), ("ordered", "AR")) if long in words)
    names = {"load": "LD", "store": "ST"}
    return names[what] + (" SIMD-FP" if "simd" in words else extended or " GP-REG")


class Operation:
    """A line of spe_truth's."""

    def __init__(self, line):
        self.fields = dict(word.split("=") for word in line.split())
        self.kind = self.fields["kind"]
        self.is_memory = self.kind.startswith(("load", "store"))
        self.events = int(self.fields["events"], 16)

    def number(self, key, base=10):
        return int(self.fields.get(key, "0"), base)

    def place(self, name, key):
        level = self.fields["level" if key == "pc" else f"{key}_level"]
        return f"{name} 0x{self.number(key, 16):x} el{level} ns=1"

    def packets(self, has_alignment):
        packets = [f"LAT {self.fields['total']} TOT", f"LAT {self.fields['issue']} ISSUE"]
        if self.is_memory:
            packets.append(f"LAT {self.fields['translation']} XLAT")
        packets.append(self.place("PC", "pc"))
        if "target" in self.fields:
            packets.append(self.place("TGT", "target"))
        if self.is_memory:
            packets += [f"VA 0x{self.number('address', 16):x}",
                        f"PA 0x{self.number('physical', 16):x} ns=1 ch=0 pat=0"]
        if "source" in self.fields:
            packets.append(f"DATA-SOURCE {SOURCES[self.fields['source']]}")
        packets.append(operation_text(self.kind))
        events = self.events if has_alignment else self.events & ~(1 << 11)
        packets.append(" ".join(["EV"] + [name for bit, name in EVENTS.items() if events >> bit & 1]))
        return packets + [f"TS {self.fields['time']}"]

    def sample(self, counter_hz):
        """(ns, ip, addr, physical, weight, operation, where from, what of page walks)"""
        multiplier = (10 ** 9 << 20) // counter_hz
        operation, level, walker = "No", "N/A", "N/A"
        if self.is_memory:
            operation = "LOAD" if self.kind.startswith("load") else "STORE"
            level = LEVELS[self.fields["source"]] if "source" in self.fields else "N/A or N/A"
            walker = "Walker miss" if self.events >> 5 & 1 else "Walker hit"
        # Code of EL1 is the kernel's to perf, whose addresses begin with ones. It has no targets.
        kernel = 0xff << 56 if self.fields["level"] == "1" else 0
        return (self.number("time") * multiplier >> 20, self.number("pc", 16) | kernel, self.number("address", 16),
                self.number("physical", 16), self.number("total"), operation, level, walker)


class SpeTruthTest(PerfConsumerTest):
    def truth(self, *words):
        output, errors = self.run_command(consumer.arguments.spe_truth, *words)
        self.assertEqual(errors, "")
        first, *lines = output.strip().split("\n")
        return int(first.split("=")[1]), [Operation(line) for line in lines]

    def records(self, recording):
        """By vCPU, the packets of each record, in perf's words."""
        text = self.read(self.perf, "report", "-D", "-i", recording)
        self.assertNotIn("Bad packet", text)
        packets, records = [], {}
        for vcpu, packet in re.findall(r"PERF_RECORD_AUXTRACE size: .* cpu: (\d+)$|"
                                       r"^\.  [0-9a-f]{8}:  (?:[0-9a-f]{2} )+ *([A-Z].*?) *$", text, re.MULTILINE):
            if vcpu:
                self.assertEqual(packets, [], "a piece ends within a record")
                of_vcpu = records.setdefault(int(vcpu), [])
            elif packet != "PAD" and not packet.startswith("CONTEXT"):
                packets.append(packet)
                if packet.startswith("TS "):
                    of_vcpu.append(packets)
                    packets = []
        self.assertEqual(packets, [])
        return records

    def samples(self, recording):
        """By vCPU, as Operation.sample()."""
        text = self.perf_on(recording, "script", "--itrace=i1i", "--ns", "-F",
                            "cpu,time,ip,addr,phys_addr,data_src,weight")
        pattern = (r" *\[(\d+)\] +(\d+)\.(\d{9}): +([0-9a-f]+) +[0-9a-f]+ \|OP (\S+?)\|LVL (.*?)\|.*\|TLB (.*?)\|"
                   r".*\|BLK +\S+ +(\d+) +([0-9a-f]+) +([0-9a-f]+)$")
        samples = {}
        for line in text.strip().split("\n"):
            match = re.match(pattern, line)
            self.assertIsNotNone(match, line)
            vcpu, seconds, ns, addr, operation, level, walker, weight, ip, physical = match.groups()
            samples.setdefault(int(vcpu), []).append(
                (int(seconds) * 10 ** 9 + int(ns), int(ip, 16), int(addr, 16), int(physical, 16), int(weight),
                 operation, level, walker))
        return samples

    def expect_all(self, found, expected):
        """As assertEqual, but says only where the first difference is."""
        self.assertEqual(found.keys(), expected.keys())
        for vcpu in found:
            for n, (one, other) in enumerate(zip(found[vcpu], expected[vcpu])):
                self.assertEqual(one, other, f"sample {n} of vCPU {vcpu}")
            self.assertEqual(len(found[vcpu]), len(expected[vcpu]))

    def compare(self, guest, most_kinds, model="neoverse-n1", append="", least=0, flat=False, vcpus=1, quantum=10_000):
        image = self.guest(f"../arm64/{guest}")
        options = ["--append", append] if append else []
        request = f"--spe=period={INTERVAL},jitter=0,pa_enable=1,memory={0 if flat else 1}"
        recording = self.record(f"../arm64/{guest}", request, "--cpu", model, "--smp", vcpus, "--quantum", quantum,
                                *options)
        counter_hz, operations = self.truth(image, INTERVAL, model, vcpus, quantum, "flat" if flat else "modelled",
                                            append)
        self.assertGreater(len(operations), least)
        kinds = {operation.kind for operation in operations}
        self.assertGreaterEqual(kinds, set(most_kinds))
        packets, samples = {}, {}
        for operation in operations:
            vcpu = operation.number("vcpu")
            packets.setdefault(vcpu, []).append(operation.packets(model != "neoverse-n1"))
            samples.setdefault(vcpu, []).append(operation.sample(counter_hz))
        self.assertEqual(len(packets), vcpus)
        self.expect_all(self.records(recording), packets)
        self.expect_all(self.samples(recording), samples)
        return operations


PLAIN = ("load", "store", "other", "branch", "branch,conditional", "branch,indirect")

ALL = PLAIN + ("load,simd", "store,simd", "load,exclusive", "store,exclusive", "load,exclusive,ordered",
               "store,exclusive,ordered", "load,ordered", "store,ordered", "other,conditional")


class GuestsTest(SpeTruthTest):
    def test_a_computation(self):
        self.compare("workload", PLAIN, append="rounds=1", least=40_000)

    def test_both_levels(self):
        operations = self.compare("profiled", PLAIN, least=30_000)
        self.assertEqual({operation.fields["level"] for operation in operations}, {"0", "1"})

    def test_operations_of_all_kinds(self):
        for model in ("neoverse-n1", "neoverse-v1"):
            operations = self.compare("spe_mixture", ALL, model, least=25_000)
            self.assertEqual({operation.fields["level"] for operation in operations}, {"0", "1"})
            self.assertEqual({operation.fields.get("source") for operation in operations}, set(SOURCES) | {None})
            for bit, name in EVENTS.items():
                with_it = sum(operation.events >> bit & 1 for operation in operations)
                self.assertGreater(with_it, 10, name)

    def test_several_vcpus(self):
        for flat in (False, True):
            self.compare("smp", PLAIN + ("load,exclusive",), append="cpus=3", least=3_000, vcpus=3, quantum=50,
                         flat=flat)
            self.compare("profiled", PLAIN, append="parts=1", least=7_000, vcpus=2, quantum=50, flat=flat)

    def test_what_is_sampled_at_full_speed(self):
        """Compiled code runs between samples, and every access hits."""
        operations = self.compare("spe_mixture", ALL, "neoverse-v1", least=25_000, flat=True)
        self.assertEqual({operation.fields.get("source") for operation in operations}, {"L1", None})
        self.compare("profiled", PLAIN, least=30_000, flat=True)


if __name__ == "__main__":
    main()
