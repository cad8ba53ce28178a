# SPDX-License-Identifier: MIT
#
# Runs one guest twice: consoles and reports must not differ by a byte.
#   cmake -DVPMU=... -DOPTIONS=... -DREPORT=path-prefix -P
cmake_minimum_required(VERSION 3.23)

foreach(run 1 2)
  execute_process(COMMAND ${VPMU} run ${OPTIONS} --json ${REPORT}.${run}.json INPUT_FILE /dev/null
    OUTPUT_VARIABLE output${run} ERROR_VARIABLE errors RESULT_VARIABLE status${run})
  if(NOT EXISTS ${REPORT}.${run}.json)
    message(FATAL_ERROR "no report\n${errors}")
  endif()
endforeach()
if(NOT status1 STREQUAL status2 OR NOT output1 STREQUAL output2)
  message(FATAL_ERROR "first run (${status1}):\n${output1}\nsecond run (${status2}):\n${output2}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${REPORT}.1.json ${REPORT}.2.json
  RESULT_VARIABLE different)
if(different)
  message(FATAL_ERROR "the reports differ: ${REPORT}.1.json ${REPORT}.2.json")
endif()
