# SPDX-License-Identifier: MIT
#
# Stock perf on traces of SPE that `vpmu export` makes of dumps: packets in its words, and a sample for
# each record that says what went in. perf may not complain.
import json
import pathlib
import re

from consumer import main
from perf_consumer import PerfConsumerTest
import spe_dump
from spe_dump import (BRANCH, L1D, L1D_REFILL, LLC, LLC_MISS, LOAD, MISPREDICTED, NOT_TAKEN, OTHER, RETIRED,
                      STORE, TLB, TLB_WALK, record)

VECTORS = pathlib.Path(__file__).parent / "../unit/profile/spe/vectors.hpp"
# Address indexes that perf says on standard error that it does not know.
ODD_ADDRESSES = {13}


class PerfSpeTest(PerfConsumerTest):
    @classmethod
    def export(cls, name, bytes_, *options):
        (cls.folder / f"{name}.spe").write_bytes(bytes_)
        cls.vpmu("export", "--format", "perf.data", f"{name}.spe", "-o", f"{name}.data", *options)
        return cls.folder / f"{name}.data"

    def packets(self, recording):
        """(offset, bytes, text) of each packet that `perf report -D` prints."""
        text = self.read(self.perf, "report", "-D", "-i", recording)
        self.assertNotIn("Bad packet", text)
        return re.findall(r"^\.  ([0-9a-f]{8}):  ((?:[0-9a-f]{2} )+) *([A-Z].*?) *$", text, re.MULTILINE)

    def samples(self, recording, *words):
        return self.perf_on(recording, "script", "--itrace=i1i", *words).strip().split("\n")


class VectorsTest(PerfSpeTest):
    def test_packets_read_as_the_table_says(self):
        vectors = spe_dump.vectors(VECTORS)
        self.assertEqual(len(vectors), 18)
        trace = b"".join(bytes_ + bytes(-len(bytes_) % 8) for bytes_, _ in vectors)
        recording = self.export("vectors", spe_dump.dump([(0, trace)]))
        theirs = [text for _, _, text in self.packets(recording) if text != "PAD"]
        self.assertEqual(theirs.pop(0), "CONTEXT 0x2 el2")
        self.assertEqual(theirs, [text for _, texts in vectors for text in texts])

    def test_packets_are_what_vpmu_prints(self):
        operations = b"".join(record(0x400000, (kind, payload))
                              for kind in (0x48, 0x49, 0x4a) for payload in range(256))
        events = b"".join(record(0x400000, events=1 << bit) for bit in range(32))
        recording = self.export("words", spe_dump.dump([(0, operations + events)]))
        ours, _ = self.vpmu("export", "--format", "packets", recording)
        ours = re.findall(r"^[0-9a-f]{8}: ((?: [0-9a-f]{2})+) +([A-Z].*)$", ours, re.MULTILINE)
        theirs = [(bytes_, text) for _, bytes_, text in self.packets(recording) if text != "PAD"]
        self.assertEqual(len(ours), (3 * 256 + 32) * 6 + 1)
        self.assertEqual([(bytes_.strip(), text) for bytes_, text in ours],
                         [(bytes_.strip(), text) for bytes_, text in theirs])

    def test_records_of_the_vectors_are_samples(self):
        vectors = [bytes_ for n, (bytes_, _) in enumerate(spe_dump.vectors(VECTORS))
                   if n not in ODD_ADDRESSES]
        trace = b"".join(bytes_ + bytes(-len(bytes_) % 8) for bytes_ in vectors)
        recording = self.export("samples", spe_dump.dump([(0, trace)]))
        self.assertEqual(len(self.samples(recording)), len(vectors))


def truth(count):
    """Records of all kinds, and what perf must say of each: ip, addr, phys_addr, weight, operation."""
    records, expected = [], []
    for n in range(count):
        pc, time = 0x400000 + 4 * n, 1000 + n
        latency = (3 + n % 500, n % 7, n % 11)
        kind = n % 4
        address, physical = 0x7f0000000000 + 64 * n, 0x80000000 + 64 * n
        if kind == 0:
            records.append(record(pc, LOAD, address=address, physical=physical, source=(0, 8, 14)[n % 3],
                                  events=RETIRED | L1D | TLB, latency=latency, time=time))
        elif kind == 1:
            records.append(record(pc, STORE, address=address, physical=physical, latency=latency, time=time,
                                  events=RETIRED | L1D | L1D_REFILL | LLC | LLC_MISS | TLB | TLB_WALK))
        elif kind == 2:
            records.append(record(pc, BRANCH, target=pc + 64, latency=latency, time=time,
                                  events=RETIRED | MISPREDICTED))
        else:
            records.append(record(pc, OTHER, latency=latency, time=time, events=RETIRED | NOT_TAKEN))
        memory = kind < 2
        addr = address if memory else pc + 64 if kind == 2 else 0
        expected.append({"ip": pc, "addr": addr, "phys": physical if memory else 0, "weight": latency[0],
                         "operation": ("LOAD", "STORE", "No", "No")[kind], "ns": 10 * time,
                         "source": {0: "L1", 8: "L2", 14: "RAM"}[(0, 8, 14)[n % 3]] if kind == 0 else "N/A"})
    return records, expected


class SamplesTest(PerfSpeTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        records, cls.expected = truth(6000)
        cls.recording = cls.export("truth", spe_dump.dump([(0, b"".join(records))]))

    def test_samples_are_what_went_in(self):
        lines = self.samples(self.recording, "--ns", "-F", "time,ip,addr,phys_addr,data_src,weight")
        self.assertEqual(len(lines), len(self.expected))
        pattern = (r" *(\d+)\.(\d{9}): +([0-9a-f]+) +[0-9a-f]+ \|OP (\S+?)\|LVL (.*?)\|.*\|BLK +\S+ +"
                   r"(\d+) +([0-9a-f]+) +([0-9a-f]+)$")
        for line, record_ in zip(lines, self.expected):
            match = re.match(pattern, line)
            self.assertIsNotNone(match, line)
            seconds, ns, addr, operation, level, weight, ip, physical = match.groups()
            self.assertEqual(int(seconds) * 10 ** 9 + int(ns), record_["ns"], line)
            self.assertEqual(int(ip, 16), record_["ip"], line)
            self.assertEqual(int(weight), record_["weight"], line)
            self.assertEqual(operation, record_["operation"], line)
            self.assertIn(record_["source"], level, line)
            if record_["operation"] != "No":
                self.assertEqual(int(addr, 16), record_["addr"], line)
                self.assertEqual(int(physical, 16), record_["phys"], line)

    def test_the_commands_of_perfs_manual_work(self):
        self.perf_on(self.recording, "script", "--itrace=fmtaMbi1i", "-F",
                     "comm,tid,time,event,ip,addr,phys_addr,data_src,weight")
        table = self.perf_on(self.recording, "report", "--stdio", "--mem-mode", "--itrace=M")
        self.expect("Samples: 3K of event 'memory'", table)

    def test_the_file_says_what_it_is_of(self):
        text = self.perf_on(self.recording, "report", "--header-only")
        self.expect("# arch : aarch64\n", text)
        self.expect("# cpudesc : neoverse-n1\n", text)
        self.expect("# cpuid : 0x00000000410fd0c0\n", text)
        self.expect("name = arm_spe_0//", text)
        self.expect(r"IP\|TID\|TIME\|CPU\|IDENTIFIER\|DATA_SRC\|PHYS_ADDR", text)

    def test_vpmu_reads_it_as_perf_does(self):
        report = json.loads(self.vpmu("report", "--spe", "--json", self.recording)[0])
        loads = [record_ for record_ in self.expected if record_["operation"] == "LOAD"]
        self.assertEqual(report["records"], len(self.expected))
        self.assertEqual(report["all"]["loads"], len(loads))
        self.assertEqual(report["all"]["latency"], sum(record_["weight"] for record_ in loads))
        self.assertEqual(report["all"]["sources"]["DRAM"]["loads"],
                         sum(record_["source"] == "RAM" for record_ in loads))
        script = self.vpmu("export", "--format", "script", self.recording)[0].strip().split("\n")
        self.assertEqual(len(script), len(self.expected))


class ManyPiecesTest(PerfSpeTest):
    """Two vCPUs, more than fits a piece; sections cut records."""

    def test_no_record_is_lost_or_torn(self):
        count = 20_000
        records, expected = truth(count)
        halves = [b"".join(records[0::2]), b"".join(records[1::2])]
        sections = []
        for at in range(0, max(map(len, halves)), 12_345):
            sections += [(vcpu, half[at:at + 12_345]) for vcpu, half in enumerate(halves)]
        recording = self.export("many", spe_dump.dump(sections, vcpus=2))
        lines = self.samples(recording, "-F", "cpu,tid,ip")
        self.assertEqual(len(lines), count)
        seen = {(int(cpu), int(tid), int(ip, 16))
                for tid, cpu, ip in (re.match(r" *(\d+) +\[(\d+)\] +([0-9a-f]+)", line).groups()
                                     for line in lines)}
        self.assertEqual(seen, {(n % 2, 2 + n % 2, record_["ip"]) for n, record_ in enumerate(expected)})


class SymbolsTest(PerfSpeTest):
    """Of a guest's image, at both levels."""

    def symbols(self):
        nm = self.run_command("nm", self.guest("../arm64/profiled"))[0]
        return {name: int(address, 16)
                for address, _, name in (line.split() for line in nm.strip().split("\n"))}

    def test_perf_and_vpmu_find_names_of_code_at_both_levels(self):
        image = self.guest("../arm64/profiled")
        symbols = self.symbols()
        kernel, user = symbols["guest_main"], symbols["user_work"]
        trace = b"".join(record(kernel + 4, LOAD, level=1, address=0x1000, latency=(30, 1, 1), time=100 + n)
                         for n in range(30))
        trace += b"".join(record(user + 4, LOAD, level=0, address=0x2000, latency=(10, 1, 1), time=200 + n)
                          for n in range(10))
        recording = self.export("symbols", spe_dump.dump([(0, trace)], image=image))
        table = self.perf_on(recording, "report", "--stdio", "--itrace=i1i", "--sort", "sym")
        self.expect(r"75.00% +\[k\] guest_main", table)
        self.expect(r"25.00% +\[\.\] user_work", table)
        self.assertEqual(len(self.samples(recording)), 40)
        for file in ("symbols.data", "symbols.spe"):
            rows = json.loads(self.vpmu("report", "--spe", "--json", file)[0])["rows"]
            self.assertEqual([(row["kind"], row["symbol"], row["latency"]) for row in rows],
                             [("k", "guest_main", 900), ("u", "user_work", 100)], file)


if __name__ == "__main__":
    main()
