# SPDX-License-Identifier: MIT
#
# Runs the guest that does `perf stat` in each of the ways that there are, and puts beside the exits
# that it has counted what the machine has counted, and what they would cost on hardware:
#
#   cmake -DVPMU=build/release/vpmu -DGUEST=build/release/guests/x86/pv_perf_stat.elf [-DCPU=model]
#     -DREPORTS=folder [-DEXPECTED=list] -P guests/pv_perf_stat.cmake
#
# Ends with an error if the two differ, or are not the expected ones.
cmake_minimum_required(VERSION 3.23)
if(NOT CPU)
  set(CPU icelake-server)
endif()
set(ways general calls registers batch exact)
set(titles "architectural PMU" "PV perf, hypercalls" "PV perf, registers" "PV perf, batch + page"
  "the same, read exactly")

# run_guest(OUT arguments...): the console.
function(run_guest out)
  execute_process(COMMAND ${VPMU} run ${GUEST} --cpu ${CPU} --pv-perf on ${ARGN}
    OUTPUT_VARIABLE console ERROR_VARIABLE summary RESULT_VARIABLE status)
  if(NOT status EQUAL 1)
    message(FATAL_ERROR "${console}${summary}pv_perf_stat: the guest ended with status ${status}")
  endif()
  string(REPLACE "\r" "" console "${console}")
  set(${out} "${console}" PARENT_SCOPE)
endfunction()

# exits_of(WAY TIMES COUNT CYCLES): of a run that does it so often, but for those of the console.
function(exits_of way times count cycles)
  set(report ${REPORTS}/pv_perf_stat.${CPU}.${way}.${times}.json)
  file(REMOVE ${report})
  run_guest(unused --append "way=${way} times=${times}" --json ${report})
  file(READ ${report} json)
  foreach(what count cycles)
    string(JSON all GET "${json}" vcpus 0 exits ${what})
    string(JSON ports GET "${json}" vcpus 0 exits by_reason port-io ${what})
    math(EXPR ${what}_now "${all} - ${ports}")
  endforeach()
  set(${count} ${count_now} PARENT_SCOPE)
  set(${cycles} ${cycles_now} PARENT_SCOPE)
endfunction()

function(padded out text width)
  string(LENGTH "${text}" length)
  math(EXPR missing "${width} - ${length}")
  string(REPEAT " " ${missing} spaces)
  set(${out} "${spaces}${text}" PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${REPORTS})
run_guest(console)
string(FIND "${console}" "PASS" end)
string(SUBSTRING "${console}" 0 ${end} text)
string(APPEND text "exits of one perf stat        by the guest  by the machine  modelled cycles\n")
set(differences 0)
set(all)
foreach(way title IN ZIP_LISTS ways titles)
  string(REPLACE "+" "[+]" pattern "${title}")
  if(NOT console MATCHES "\n  ${pattern}[ 0-9,]* ([0-9]+)\n")
    message(FATAL_ERROR "${console}pv_perf_stat: the guest did not print its exits: ${title}")
  endif()
  set(by_guest ${CMAKE_MATCH_1})
  exits_of(${way} 1 once once_cycles)
  exits_of(${way} 2 twice twice_cycles)
  math(EXPR by_machine "${twice} - ${once}")
  math(EXPR cycles "${twice_cycles} - ${once_cycles}")
  if(NOT by_guest EQUAL by_machine)
    math(EXPR differences "${differences} + 1")
  endif()
  list(APPEND all ${by_machine})
  string(LENGTH "  ${title}" used)
  math(EXPR width "42 - ${used}")
  padded(by_guest "${by_guest}" ${width})
  padded(by_machine "${by_machine}" 16)
  padded(cycles "${cycles}" 17)
  string(APPEND text "  ${title}${by_guest}${by_machine}${cycles}\n")
endforeach()
execute_process(COMMAND ${CMAKE_COMMAND} -E echo_append "${text}")
if(differences GREATER 0)
  message(FATAL_ERROR "pv_perf_stat: the guest and the machine count ${differences} exits differently")
endif()
if(EXPECTED AND NOT EXPECTED STREQUAL all)
  message(FATAL_ERROR "pv_perf_stat: exits are ${all}, and should be ${EXPECTED}")
endif()
