// SPDX-License-Identifier: MIT
//
// Records composed by hand from the tables of the Arm ARM, D18.2, and what `perf report -D` 6.1
// says of each of their packets.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vpmu::profile::spe {

struct Vector {
  const char* name;
  const char* what;
  const char* hex;
  const char* packets;  ///< text, with "; " between them
};

inline std::vector<std::uint8_t> bytes_of(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  for (; !hex.empty(); hex.remove_prefix(std::min<std::size_t>(hex.size(), 3))) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoul(std::string{hex.substr(0, 2)}, nullptr, 16)));
  }
  return bytes;
}

inline constexpr std::array<Vector, 18> kVectors{{
    {"V01", "unconditional other op at EL0, PC 0x400580, total 5, issue 3, retired, no timestamp",
     "98 05 00 99 03 00 b0 80 05 40 00 00 00 00 80 48 00 42 02 01",
     "LAT 5 TOT; LAT 3 ISSUE; PC 0x400580 el0 ns=1; OTHER INSN-OTHER; EV "
     "RETIRED; END"},
    {"V02",
     "load, pid 1234, L1 hit, TLB hit, VA 0xffffd2345678, PA 0x81234678, data source L1, TS "
     "0x123456789",
     "64 d2 04 00 00 98 09 00 99 04 00 9a 01 00 b0 f4 05 c2 b1 aa aa 00 80 b2 "
     "78 56 34 d2 ff ff 00 00 b3 78 46 23 81 00 00 00 80 43 00 49 00 52 16 00 "
     "71 89 67 45 23 01 00 00 00",
     "CONTEXT 0x4d2 el1; LAT 9 TOT; LAT 4 ISSUE; LAT 1 XLAT; PC 0xaaaab1c205f4 "
     "el0 ns=1; VA 0xffffd2345678; PA 0x81234678 ns=1 ch=0 pat=0; DATA-SOURCE "
     "0; LD GP-REG; EV RETIRED L1D-ACCESS TLB-ACCESS; TS 4886718345"},
    {"V03", "EL1 store, TLB walk, L1 refill",
     "64 00 00 00 00 98 2a 00 99 11 00 9a 15 00 b0 5c 34 12 08 00 80 ff a0 b2 "
     "78 56 34 12 00 00 ff ff 49 01 52 3e 00 71 00 68 45 23 01 00 00 00",
     "CONTEXT 0x0 el1; LAT 42 TOT; LAT 17 ISSUE; LAT 21 XLAT; PC "
     "0xff80000812345c el1 ns=1; VA 0xffff000012345678; ST GP-REG; EV RETIRED "
     "L1D-ACCESS L1D-REFILL TLB-ACCESS TLB-REFILL; TS 4886718464"},
    {"V04", "conditional branch, taken, mispredicted",
     "98 07 00 99 02 00 b0 00 06 c2 b1 aa aa 00 80 b1 40 06 c2 b1 aa aa 00 80 "
     "4a 01 42 82 71 10 68 45 23 01 00 00 00",
     "LAT 7 TOT; LAT 2 ISSUE; PC 0xaaaab1c20600 el0 ns=1; TGT 0xaaaab1c20640 "
     "el0 ns=1; B COND; EV RETIRED MISPRED; TS 4886718480"},
    {"V05", "conditional branch, not taken: no target packet, event 6",
     "98 03 00 99 01 00 b0 04 06 c2 b1 aa aa 00 80 4a 01 42 42 01",
     "LAT 3 TOT; LAT 1 ISSUE; PC 0xaaaab1c20604 el0 ns=1; B COND; EV RETIRED "
     "NOT-TAKEN; END"},
    {"V06", "exception return EL1 -> EL0",
     "98 1c 00 99 08 00 b0 40 1c 01 08 00 80 ff a0 b1 00 07 c2 b1 aa aa 00 80 "
     "4a 02 42 02 71 20 68 45 23 01 00 00 00",
     "LAT 28 TOT; LAT 8 ISSUE; PC 0xff800008011c40 el1 ns=1; TGT 0xaaaab1c20700 "
     "el0 ns=1; B IND; EV RETIRED; TS 4886718496"},
    {"V07", "atomic with acquire that returns a value",
     "98 20 00 99 10 00 9a 02 00 b0 10 0a 40 00 00 00 00 80 b2 00 50 00 00 00 "
     "00 00 00 49 16 52 16 00 71 01 00 00 00 00 00 00 00",
     "LAT 32 TOT; LAT 16 ISSUE; LAT 2 XLAT; PC 0x400a10 el0 ns=1; VA 0x5000; LD "
     "AT AR; EV RETIRED L1D-ACCESS TLB-ACCESS; TS 1"},
    {"V08", "store-release exclusive",
     "98 12 00 99 06 00 9a 01 00 b0 20 0a 40 00 00 00 00 80 b2 08 50 00 00 00 "
     "00 00 00 49 1b 52 16 00 71 02 00 00 00 00 00 00 00",
     "LAT 18 TOT; LAT 6 ISSUE; LAT 1 XLAT; PC 0x400a20 el0 ns=1; VA 0x5008; ST "
     "EXCL AR; EV RETIRED L1D-ACCESS TLB-ACCESS; TS 2"},
    {"V09", "predicated SVE gather load, 256 bit, from DRAM, partial predicate, LLC miss",
     "98 80 00 99 30 00 9a 08 00 b0 00 0b 40 00 00 00 00 80 b2 00 10 00 00 00 "
     "7f 00 00 43 0e 49 bc 62 1e 03 02 00 71 03 00 00 00 00 00 00 00",
     "LAT 128 TOT; LAT 48 ISSUE; LAT 8 XLAT; PC 0x400b00 el0 ns=1; VA "
     "0x7f0000001000; DATA-SOURCE 14; LD EVLEN 256 PRED SG; EV RETIRED L1D-ACCESS "
     "L1D-REFILL TLB-ACCESS LLC-ACCESS LLC-REFILL SVE-PARTIAL-PRED; TS 3"},
    {"V10", "predicated SVE FP op, 512 bit, empty predicate",
     "98 06 00 99 02 00 b0 10 0b 40 00 00 00 00 80 48 4e 62 02 00 04 00 71 04 "
     "00 00 00 00 00 00 00",
     "LAT 6 TOT; LAT 2 ISSUE; PC 0x400b10 el0 ns=1; SVE-OTHER EVLEN 512 FP "
     "PRED; EV RETIRED SVE-EMPTY-PRED; TS 4"},
    {"V11", "load from remote socket, total latency 700",
     "98 bc 02 99 20 00 9a 00 00 b0 00 08 c2 b1 aa aa 00 80 b2 00 10 00 90 ff "
     "ff 00 00 b3 00 10 90 00 20 00 00 80 43 0d 49 00 52 1e 07 71 30 68 45 23 "
     "01 00 00 00",
     "LAT 700 TOT; LAT 32 ISSUE; LAT 0 XLAT; PC 0xaaaab1c20800 el0 ns=1; VA "
     "0xffff90001000; PA 0x2000901000 ns=1 ch=0 pat=0; DATA-SOURCE 13; LD "
     "GP-REG; EV RETIRED L1D-ACCESS L1D-REFILL TLB-ACCESS LLC-ACCESS LLC-REFILL "
     "REMOTE-ACCESS; TS 4886718512"},
    {"V12", "faulting load, all 12-bit counters saturated",
     "98 ff 0f 99 ff 0f 9a ff 0f b0 00 0c 40 00 00 00 00 80 b2 00 00 ad de 00 "
     "00 00 00 49 00 52 33 00 01",
     "LAT 4095 TOT; LAT 4095 ISSUE; LAT 4095 XLAT; PC 0x400c00 el0 ns=1; VA "
     "0xdead0000; LD GP-REG; EV EXCEPTION-GEN RETIRED TLB-ACCESS TLB-REFILL; "
     "END"},
    {"V13", "conditional select, condition failed",
     "98 02 00 99 01 00 b0 04 0c 40 00 00 00 00 80 48 01 42 42 01",
     "LAT 2 TOT; LAT 1 ISSUE; PC 0x400c04 el0 ns=1; OTHER COND-SELECT; EV "
     "RETIRED NOT-TAKEN; END"},
    {"V14",
     "extended counter idx 16 = 0x1234, previous branch target 0x400b80, extended address idx 17",
     "98 04 00 22 98 34 12 b0 08 0c 40 00 00 00 00 80 b4 80 0b 40 00 00 00 00 "
     "80 22 b1 88 77 66 55 44 33 22 11 48 00 42 02 01",
     "LAT 4 TOT; LAT 4660; PC 0x400c08 el0 ns=1; ADDR 0x8000000000400b80 (4); "
     "ADDR 0x1122334455667788 (17); OTHER INSN-OTHER; EV RETIRED; END"},
    {"V15", "MTE-checked load, tag 0xa in VA top byte and PAT",
     "98 09 00 99 04 00 9a 01 00 b0 00 0d 40 00 00 00 00 80 b2 00 50 34 d2 ff "
     "ff 00 0a b3 00 00 23 81 00 00 00 ca 49 00 52 16 00 71 05 00 00 00 00 00 "
     "00 00",
     "LAT 9 TOT; LAT 4 ISSUE; LAT 1 XLAT; PC 0x400d00 el0 ns=1; VA "
     "0xa00ffffd2345000; PA 0x81230000 ns=1 ch=1 pat=a; LD GP-REG; EV RETIRED "
     "L1D-ACCESS TLB-ACCESS; TS 5"},
    {"V16", "SIMD store with both context packets",
     "64 11 01 00 00 65 22 02 00 00 98 0b 00 99 05 00 9a 01 00 b0 10 0d 40 00 "
     "00 00 00 80 b2 00 60 00 00 00 00 00 00 49 05 52 16 00 71 06 00 00 00 00 "
     "00 00 00",
     "CONTEXT 0x111 el1; CONTEXT 0x222 el2; LAT 11 TOT; LAT 5 ISSUE; LAT 1 "
     "XLAT; PC 0x400d10 el0 ns=1; VA 0x6000; ST SIMD-FP; EV RETIRED L1D-ACCESS "
     "TLB-ACCESS; TS 6"},
    {"V17", "64-bit events with implementation-defined bits 12 and 48",
     "98 01 00 99 00 00 b0 20 0d 40 00 00 00 00 80 48 00 72 02 10 00 00 00 00 "
     "01 00 01",
     "LAT 1 TOT; LAT 0 ISSUE; PC 0x400d20 el0 ns=1; OTHER INSN-OTHER; EV "
     "RETIRED; END"},
    {"V18", "indirect call with CRR: CC=01, I=1 -> 0x0a",
     "98 04 00 99 01 00 b0 24 0d 40 00 00 00 00 80 b1 00 0e 40 00 00 00 00 80 "
     "4a 0a 42 02 71 07 00 00 00 00 00 00 00",
     "LAT 4 TOT; LAT 1 ISSUE; PC 0x400d24 el0 ns=1; TGT 0x400e00 el0 ns=1; B; "
     "EV RETIRED; TS 7"},
}};

}  // namespace vpmu::profile::spe
