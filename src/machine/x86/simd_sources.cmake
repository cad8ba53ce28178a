# The handlers of MMX, SSE and x87 instructions.
set(VPMU_X86_SIMD_SOURCES
  fp_environment.cpp
  ops_sse_arithmetic.cpp
  ops_sse_compare.cpp
  ops_sse_convert.cpp
  ops_sse_crypto.cpp
  ops_sse_extract.cpp
  ops_sse_float.cpp
  ops_sse_move.cpp
  ops_sse_operands.cpp
  ops_sse_round.cpp
  ops_sse_shift.cpp
  ops_sse_shuffle.cpp
  ops_sse_string.cpp
  ops_x87.cpp)
