# SPDX-License-Identifier: MIT
#
# Runs the demo and puts side by side what the guest read from its counters when it ended and what the
# machine says it retired. Then profiles it from outside:
#
#   cmake -DVPMU=build/release/vpmu -DGUEST=build/release/guests/x86/demo.elf [-DCPU=model]
#     [-DPROFILE=folder|off] -P guests/demo.cmake
#
# Ends with an error if the two differ. Recording and flame graph go to PROFILE; without them if off.
cmake_minimum_required(VERSION 3.23)

# The guest's last lines are "NAME   NUMBER"; RETIRED is the report's name for the same event.
set(names cycles instructions branches "mispredicted branches")
set(retired cycles instructions branches mispredicted-branches)
set(counters RDPMC)
if(CPU MATCHES "^(armv8|cortex|neoverse)")
  set(names cycles instructions branches exceptions)
  set(retired ${names})
  set(counters PMEVCNTR)
endif()

function(grouped out number)
  string(LENGTH "${number}" length)
  set(result)
  while(length GREATER 3)
    math(EXPR length "${length} - 3")
    string(SUBSTRING "${number}" ${length} 3 group)
    string(PREPEND result ",${group}")
    string(SUBSTRING "${number}" 0 ${length} number)
  endwhile()
  set(${out} "${number}${result}" PARENT_SCOPE)
endfunction()

function(padded out text width)
  string(LENGTH "${text}" length)
  math(EXPR missing "${width} - ${length}")
  string(REPEAT " " ${missing} spaces)
  set(${out} "${spaces}${text}" PARENT_SCOPE)
endfunction()

get_filename_component(folder ${GUEST} DIRECTORY)
if(NOT CPU)
  set(CPU icelake-server)
endif()
set(report ${folder}/demo.${CPU}.json)
file(REMOVE ${report})
execute_process(COMMAND ${VPMU} run ${GUEST} --cpu ${CPU} --json ${report}
  OUTPUT_VARIABLE console ERROR_VARIABLE summary RESULT_VARIABLE status)
if(NOT status EQUAL 1)
  message(FATAL_ERROR "${console}${summary}demo: the guest ended with status ${status}")
endif()
file(READ ${report} json)

# Everything up to the guest's last four lines is for people as it is.
string(FIND "${console}" "Its counters at its very last instruction" end)
string(SUBSTRING "${console}" 0 ${end} text)
string(REPLACE "\r" "" text "${text}")
padded(heading "guest, ${counters}" 42)
padded(heading2 "machine, retired" 20)
string(APPEND text "The whole run:\n${heading}${heading2}\n")
set(differences 0)
foreach(name event IN ZIP_LISTS names retired)
  if(NOT console MATCHES "\n  ${name} +([0-9,]+)")
    message(FATAL_ERROR "${console}demo: the guest did not print its ${name}")
  endif()
  string(REPLACE "," "" guest_count "${CMAKE_MATCH_1}")
  string(JSON machine_count GET "${json}" vcpus 0 retired ${event} total)
  if(guest_count EQUAL machine_count)
    set(verdict "equal")
  else()
    set(verdict "DIFFERENT")
    math(EXPR differences "${differences} + 1")
  endif()
  grouped(guest_text ${guest_count})
  grouped(machine_text ${machine_count})
  string(LENGTH "  ${name}" used)
  math(EXPR width "42 - ${used}")
  padded(guest_text "${guest_text}" ${width})
  padded(machine_text "${machine_text}" 20)
  string(APPEND text "  ${name}${guest_text}${machine_text}   ${verdict}\n")
endforeach()
string(APPEND text "\n${summary}")
execute_process(COMMAND ${CMAKE_COMMAND} -E echo_append "${text}")
if(differences GREATER 0)
  message(FATAL_ERROR "demo: ${differences} counts differ")
endif()

# ---- From outside ------------------------------------------------------------------------------------------
if(PROFILE STREQUAL "off")
  return()
endif()
if(NOT PROFILE)
  set(PROFILE ${folder}/demo.${CPU})
endif()
file(MAKE_DIRECTORY ${PROFILE})

# profiling(OUT status arguments...): what vpmu prints, on whichever stream.
function(profiling out wanted)
  execute_process(COMMAND ${VPMU} ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL wanted)
    message(FATAL_ERROR "${output}${errors}demo: vpmu ${ARGN}: status ${status}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
endfunction()
profiling(unused 1 record ${GUEST} --cpu ${CPU} -c 10007 -g -o ${PROFILE}/perf.data)
profiling(report 0 report ${PROFILE}/perf.data --limit 6 --width 79)
profiling(unused 0 flamegraph ${PROFILE}/perf.data -o ${PROFILE}/flamegraph.svg)
# Its table only.
string(FIND "${report}" "         self  " begin)
string(SUBSTRING "${report}" ${begin} -1 report)
string(REGEX REPLACE "\n\n[0-9]+ more rows[^\n]*\n*" "\n" report "${report}")
set(text "
The same guest again, profiled from outside (vpmu record -c 10007 -g):
${report}
  ${PROFILE}/perf.data        perf report -i ${PROFILE}/perf.data
  ${PROFILE}/flamegraph.svg   in a browser: click zooms, / searches
")
execute_process(COMMAND ${CMAKE_COMMAND} -E echo_append "${text}")
