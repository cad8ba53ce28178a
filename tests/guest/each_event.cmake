# SPDX-License-Identifier: MIT
#
# Runs the guest pmu_each_event on a CPU model with all events that `vpmu cpu show MODEL --events` lists.
#   cmake -DVPMU=... -DGUEST=... -DCPU=model [-DOPTIONS=more of vpmu run] -P
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} cpu show ${CPU} --events OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE ";" ":" table "${table}")
string(REPLACE "\n" ";" lines "${table}")
set(events)
foreach(line ${lines})
  # NAME  0x0c0 0x00  any, fixed 0  ...: rows of fixed counters alone are not for the others.
  if(NOT line MATCHES "^ *[^ ]+ +0x([0-9a-f]+) +0x([0-9a-f]+) +(any|[0-9]+(-[0-9]+)?)[ ,]")
    continue()
  endif()
  set(counters ${CMAKE_MATCH_3})
  math(EXPR event "0x${CMAKE_MATCH_1}")
  math(EXPR code "(${event} >> 8) << 32 | 0x${CMAKE_MATCH_2} << 8 | (${event} & 0xff)"
    OUTPUT_FORMAT HEXADECIMAL)
  if(counters STREQUAL "any")
    set(mask 0xff)
  elseif(counters MATCHES "^([0-9]+)-([0-9]+)$")
    math(EXPR mask "(1 << (${CMAKE_MATCH_2} + 1)) - (1 << ${CMAKE_MATCH_1})" OUTPUT_FORMAT HEXADECIMAL)
  else()
    math(EXPR mask "1 << ${counters}" OUTPUT_FORMAT HEXADECIMAL)
  endif()
  string(SUBSTRING ${code} 2 -1 code)
  string(SUBSTRING ${mask} 2 -1 mask)
  list(APPEND events ${code}:${mask})
endforeach()
list(JOIN events "," events)

set(STATUS 1)
set(OUTPUT "SUMMARY: [0-9]+ passed, 0 failed")
set(OPTIONS ${GUEST} --cpu ${CPU} ${OPTIONS} --append events=${events})
include(${CMAKE_CURRENT_LIST_DIR}/run_guest.cmake)
