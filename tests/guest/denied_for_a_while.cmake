# SPDX-License-Identifier: MIT
#
# Runs the guest filter_watch with a filter that denies instructions for a while: the guest, the
# report and standard error must say so.
#   cmake -DVPMU=... -DGUEST=... -DCPU=model -DFILTER=file -DFROM=count -DTO=count -DREPORT=path -P
cmake_minimum_required(VERSION 3.23)

math(EXPR denied "${TO} - ${FROM}")
execute_process(COMMAND ${VPMU} run ${GUEST} --cpu ${CPU} --append denied=${denied}
    --filter-at ${FROM}=${FILTER} --filter-at ${TO}=none --json ${REPORT}
  INPUT_FILE /dev/null OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
if(NOT status EQUAL 1 OR NOT output MATCHES "SUMMARY: 4 passed, 0 failed, 0 skipped")
  message(FATAL_ERROR "status ${status}\n${output}${errors}")
endif()
if(NOT errors MATCHES "event 0xc0 \\(umask 0x00\\) is denied by entry 0 of filter '[^\n]*': the counter")
  message(FATAL_ERROR "standard error does not say what was denied\n${errors}")
endif()
file(READ ${REPORT} json)
# expect(VALUE field...): of the report.
function(expect value)
  string(JSON field GET "${json}" ${ARGN})
  if(NOT field STREQUAL value)
    message(SEND_ERROR "the report's ${ARGN} is '${field}', not '${value}'")
  endif()
endfunction()
expect("${FILTER}" event_filter 0 file)
expect(${FROM} event_filter 0 since_instruction)
expect(deny event_filter 0 action)
expect(1 event_filter 0 denied)
expect(0 event_filter 0 denied_by 0 entry)
expect(pmc0 event_filter 0 denials 0 counter)
expect(none event_filter 1 file)
expect(${TO} event_filter 1 since_instruction)
string(JSON all GET "${json}" vcpus 0 counters 1 value)
math(EXPR filtered "${all} - ${denied}")
expect(fixed0 vcpus 0 counters 1 counter)
expect(${filtered} vcpus 0 counters 0 value)
