# SPDX-License-Identifier: MIT
#
# The guest's own count of a function's instructions and callgrind's count of the same function, from
# the same object file, in an ordinary process: both must be the same number.
#   cmake -DVPMU=... -DGUEST=... -DPROCESS=... -DVALGRIND=... -DFUNCTION=... -P
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} run ${GUEST} INPUT_FILE /dev/null
  OUTPUT_VARIABLE guest ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 1)
  message(FATAL_ERROR "the guest ended with status ${status}\n${guest}${errors}")
endif()
execute_process(COMMAND ${VALGRIND} --tool=callgrind --callgrind-out-file=/dev/null
  --toggle-collect=${FUNCTION} ${PROCESS}
  OUTPUT_VARIABLE process ERROR_VARIABLE callgrind RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "callgrind ended with status ${status}\n${process}${callgrind}")
endif()
string(REGEX MATCH "instructions ([0-9]+)" found "${guest}")
set(guest_count ${CMAKE_MATCH_1})
string(REGEX MATCH "result ([0-9a-f]+)" guest_result "${guest}")
string(REGEX MATCH "Collected : ([0-9]+)" found "${callgrind}")
set(callgrind_count ${CMAKE_MATCH_1})
string(REGEX MATCH "result ([0-9a-f]+)" process_result "${process}")
message("guest: ${guest_result}, ${guest_count} instructions")
message("callgrind: ${process_result}, ${callgrind_count} instructions")
if(NOT guest_count OR NOT guest_count EQUAL callgrind_count OR NOT guest_result STREQUAL process_result)
  message(FATAL_ERROR "they differ")
endif()
