# SPDX-License-Identifier: MIT
#
# Runs one guest to its end, and again in two processes, the second of which goes on from the snapshot
# of the first: consoles together and reports must be the same, byte for byte, wherever it was cut.
#   cmake -DVPMU=... -DOPTIONS=... -DMOVES=count -DREPORT=path-prefix [-DSPE_DUMPS=command] -P
# SPE_DUMPS: what the guest's SPE records is compared, too: the command is given three dumps.
cmake_minimum_required(VERSION 3.23)

# dump(PART): the option in `dump`, if dumps are wanted.
macro(dump part)
  set(dump)
  if(SPE_DUMPS)
    set(dump --spe-dump ${REPORT}.${part}.spe)
  endif()
endmacro()

dump(whole)
execute_process(COMMAND ${VPMU} run ${OPTIONS} ${dump} --json ${REPORT}.whole.json INPUT_FILE /dev/null
  OUTPUT_VARIABLE whole ERROR_VARIABLE errors RESULT_VARIABLE status)
file(READ ${REPORT}.whole.json json)
string(JSON length GET "${json}" outcome instructions)
foreach(move RANGE 1 ${MOVES})
  string(RANDOM LENGTH 9 ALPHABET 0123456789 RANDOM_SEED ${move} digits)
  math(EXPR at "1${digits} % ${length}")
  dump(first)
  execute_process(COMMAND ${VPMU} run ${OPTIONS} ${dump} --save-at ${at}=${REPORT}.snapshot
      --max-instructions ${at}
    INPUT_FILE /dev/null OUTPUT_VARIABLE first ERROR_VARIABLE errors RESULT_VARIABLE first_status)
  if(NOT first_status EQUAL 124)
    message(FATAL_ERROR "cut at ${at}: status ${first_status}\n${errors}")
  endif()
  dump(second)
  execute_process(COMMAND ${VPMU} run --restore ${REPORT}.snapshot ${dump} --json ${REPORT}.moved.json
    INPUT_FILE /dev/null OUTPUT_VARIABLE second ERROR_VARIABLE errors RESULT_VARIABLE second_status)
  if(NOT second_status STREQUAL status OR NOT "${first}${second}" STREQUAL "${whole}")
    message(FATAL_ERROR "cut at ${at}: status ${second_status} should be ${status}\n${errors}"
      "${first}-- cut --\n${second}-- should be --\n${whole}")
  endif()
  file(READ ${REPORT}.moved.json moved)
  if(NOT moved STREQUAL json)
    message(FATAL_ERROR "cut at ${at}: the reports differ: ${REPORT}.whole.json ${REPORT}.moved.json")
  endif()
  if(SPE_DUMPS)
    execute_process(COMMAND ${SPE_DUMPS} ${REPORT}.whole.spe ${REPORT}.first.spe ${REPORT}.second.spe
      ERROR_VARIABLE errors RESULT_VARIABLE compared)
    if(NOT compared EQUAL 0)
      message(FATAL_ERROR "cut at ${at}: ${errors}")
    endif()
  endif()
endforeach()
file(REMOVE ${REPORT}.snapshot)
