# SPDX-License-Identifier: MIT
#
# Dumps of what a guest's SPE has recorded (docs/abi/spe.md), as streams of bytes, one for each vCPU.
#   spe_dumps.py WHOLE PART...    the parts, one behind the other, must be the whole, byte for byte
import pathlib
import struct
import sys

END = 0xffffffff


def streams(path):
    """The trace of each vCPU. A dump that is not whole is an error."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"vpmu-spe", f"{path}: not a dump"
    version, at, vcpus = struct.unpack_from("<III", data, 8)
    assert version == 1, f"{path}: version {version}"
    found = [b""] * vcpus
    while True:
        vcpu, _, size = struct.unpack_from("<IIQ", data, at)
        at += 16
        if vcpu == END:
            assert at == len(data), f"{path}: something follows its end"
            return found
        found[vcpu] += data[at:at + size]
        at += size + -size % 8


def main(whole, *parts):
    expected = streams(whole)
    joined = [b"".join(pieces) for pieces in zip(*map(streams, parts), strict=True)]
    sizes = [list(map(len, streams(part))) for part in parts]
    if sum(map(len, expected)) == 0:
        return f"{whole}: no records, so that nothing is compared"
    for vcpu, (one, other) in enumerate(zip(expected, joined, strict=True)):
        if one != other:
            at = next((n for n, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
            return f"vCPU {vcpu}: other bytes from {at} on; {len(one)} in one run, {sizes} in parts"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
