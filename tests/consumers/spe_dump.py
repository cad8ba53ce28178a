# SPDX-License-Identifier: MIT
#
# Dumps of SPE (docs/abi/spe.md), composed packet by packet.
import pathlib
import struct

# Bits of events.
RETIRED, L1D, L1D_REFILL, TLB, TLB_WALK, NOT_TAKEN, MISPREDICTED, LLC, LLC_MISS = (
    1 << bit for bit in range(1, 10))
OTHER, LOAD, STORE, BRANCH = (0x48, 0), (0x49, 0), (0x49, 1), (0x4a, 1)


def record(pc, operation=OTHER, level=0, events=RETIRED, latency=(1, 0, 0), target=None, address=None,
           physical=None, source=None, context=None, time=None, align=64):
    """One record, padded. Latencies: total, issue, translation."""
    memory = address is not None
    bytes_ = b""
    if context is not None:
        bytes_ += struct.pack("<BI", 0x64, context)
    for index, cycles in enumerate(latency[:3 if memory else 2]):
        bytes_ += struct.pack("<BH", 0x98 + index, cycles)
    byte7 = (0x80 | level << 5) << 56
    bytes_ += struct.pack("<BQ", 0xb0, pc & (1 << 56) - 1 | byte7)
    if target is not None:
        bytes_ += struct.pack("<BQ", 0xb1, target | byte7)
    if memory:
        bytes_ += struct.pack("<BQ", 0xb2, address)
    if physical is not None:
        bytes_ += struct.pack("<BQ", 0xb3, physical | 1 << 63)
    if source is not None:
        bytes_ += struct.pack("<BB", 0x43, source)
    bytes_ += struct.pack("<BB", *operation) + struct.pack("<BI", 0x62, events)
    bytes_ += b"\x01" if time is None else struct.pack("<BQ", 0x71, time)
    return bytes_ + bytes(-len(bytes_) % align)


def padded(bytes_):
    return bytes_ + bytes(-len(bytes_) % 8)


def dump(sections, vcpus=1, image="", model="neoverse-n1", midr=0x413fd0c1, period=1024, time=(0, 10, 0)):
    """`sections`: pairs of vCPU and trace."""
    texts = padded(model.encode() + image.encode())
    header = b"vpmu-spe" + struct.pack("<IIIIQQQQII", 1, 64 + len(texts), vcpus, midr, *time, period,
                                       len(model.encode()), len(image.encode()))
    body = b"".join(struct.pack("<IIQ", vcpu, 0, len(trace)) + padded(trace) for vcpu, trace in sections)
    return header + texts + body + struct.pack("<IIQ", 0xffffffff, 0, 0)


def vectors(header):
    """(bytes, texts of the packets) of each vector in the unit tests' table."""
    found = []
    text = pathlib.Path(header).read_text()
    for entry in text[text.index("kVectors{{"):].split('{"V')[1:]:
        strings = ("V" + entry[:entry.index("},")]).split('"')
        # Name, what it is; then pieces of hexadecimal digits, and pieces of text.
        pieces = strings[4::2]
        hexadecimal = [p for p in pieces if all(c in "0123456789abcdef " for c in p) and p.strip()]
        words = pieces[pieces.index(hexadecimal[-1]) + 1:]
        found.append((bytes.fromhex("".join(hexadecimal)), "".join(words).split("; ")))
    return found
