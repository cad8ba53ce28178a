# SPDX-License-Identifier: MIT
#
# Runs one guest and checks what the report says of vCPU 0's last branch records.
#   cmake -DVPMU=... -DOPTIONS=... -DREPORT=path -DEXPECTED="reclaims=4;direct_reads>=1000" -P
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} run ${OPTIONS} --json ${REPORT} INPUT_FILE /dev/null
  OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 1)
  message(FATAL_ERROR "the guest ended with status ${status}\n${output}${errors}")
endif()
file(READ ${REPORT} json)
foreach(expected ${EXPECTED})
  if(NOT expected MATCHES "^([a-z_]+)(>?=)([0-9]+)$")
    message(FATAL_ERROR "'${expected}' is not FIELD=NUMBER or FIELD>=NUMBER")
  endif()
  set(field ${CMAKE_MATCH_1})
  set(relation ${CMAKE_MATCH_2})
  set(number ${CMAKE_MATCH_3})
  string(JSON value GET "${json}" vcpus 0 lbr ${field})
  if(value LESS number OR (relation STREQUAL "=" AND NOT value EQUAL number))
    message(SEND_ERROR "the report's ${field} is ${value}: it should be ${expected}")
  endif()
endforeach()
