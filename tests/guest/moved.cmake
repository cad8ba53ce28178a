# SPDX-License-Identifier: MIT
#
# Runs one guest to its end, and again in two processes, the second of which goes on from the snapshot
# of the first: consoles together and reports must be the same, byte for byte, wherever it was cut.
#   cmake -DVPMU=... -DOPTIONS=... -DMOVES=count -DREPORT=path-prefix -P
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} run ${OPTIONS} --json ${REPORT}.whole.json INPUT_FILE /dev/null
  OUTPUT_VARIABLE whole ERROR_VARIABLE errors RESULT_VARIABLE status)
file(READ ${REPORT}.whole.json json)
string(JSON length GET "${json}" outcome instructions)
foreach(move RANGE 1 ${MOVES})
  string(RANDOM LENGTH 9 ALPHABET 0123456789 RANDOM_SEED ${move} digits)
  math(EXPR at "1${digits} % ${length}")
  execute_process(COMMAND ${VPMU} run ${OPTIONS} --save-at ${at}=${REPORT}.snapshot
      --max-instructions ${at}
    INPUT_FILE /dev/null OUTPUT_VARIABLE first ERROR_VARIABLE errors RESULT_VARIABLE first_status)
  if(NOT first_status EQUAL 124)
    message(FATAL_ERROR "cut at ${at}: status ${first_status}\n${errors}")
  endif()
  execute_process(COMMAND ${VPMU} run --restore ${REPORT}.snapshot --json ${REPORT}.moved.json
    INPUT_FILE /dev/null OUTPUT_VARIABLE second ERROR_VARIABLE errors RESULT_VARIABLE second_status)
  if(NOT second_status STREQUAL status OR NOT "${first}${second}" STREQUAL "${whole}")
    message(FATAL_ERROR "cut at ${at}: status ${second_status} should be ${status}\n${errors}"
      "${first}-- cut --\n${second}-- should be --\n${whole}")
  endif()
  file(READ ${REPORT}.moved.json moved)
  if(NOT moved STREQUAL json)
    message(FATAL_ERROR "cut at ${at}: the reports differ: ${REPORT}.whole.json ${REPORT}.moved.json")
  endif()
endforeach()
file(REMOVE ${REPORT}.snapshot)
