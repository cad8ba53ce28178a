# SPDX-License-Identifier: MIT
#
# Runs one guest and checks which counters the report says were on but did not count, and why.
#   cmake -DVPMU=... -DOPTIONS=... -DREPORT=path -DSTILL="pmc1:starved;..." [-DSAYS=regex] -P
#   SAYS   a line on standard error that matches this, once and no more than once
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} run ${OPTIONS} --json ${REPORT} INPUT_FILE /dev/null
  OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 1)
  message(FATAL_ERROR "the guest ended with status ${status}\n${output}${errors}")
endif()
file(READ ${REPORT} json)
string(JSON counters GET "${json}" vcpus 0 counters_not_counting)
string(JSON count LENGTH "${counters}")
set(found)
foreach(i RANGE ${count})
  if(i EQUAL count)
    break()
  endif()
  string(JSON counter GET "${counters}" ${i} counter)
  string(JSON why GET "${counters}" ${i} status)
  list(APPEND found "${counter}:${why}")
endforeach()
if(NOT "${found}" STREQUAL "${STILL}")
  message(FATAL_ERROR "standing still are '${found}', not '${STILL}'\n${output}${errors}")
endif()
if(SAYS)
  string(REGEX MATCHALL "[^\n]*${SAYS}[^\n]*" lines "${errors}")
  list(LENGTH lines times)
  if(NOT times EQUAL 1)
    message(FATAL_ERROR "standard error says '${SAYS}' ${times} times\n${errors}")
  endif()
endif()
