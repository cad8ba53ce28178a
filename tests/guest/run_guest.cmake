# SPDX-License-Identifier: MIT
#
# Runs one guest and checks how it ended: cmake -DVPMU=... -DOPTIONS=... -DSTATUS=REGEX [...] -P
#   OPTIONS   arguments of `vpmu run`, a list
#   STATUS    the whole exit status matches this; a run killed by a signal never does
#   OUTPUT    the console matches this, if given
#   ERRORS    standard error matches this, if given
# No check of the guest's own may have failed, and no sanitizer may have spoken.
cmake_minimum_required(VERSION 3.23)

execute_process(COMMAND ${VPMU} run ${OPTIONS} INPUT_FILE /dev/null
  OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
# Guests may print anything at all.
string(REPLACE ";" ":" output "${output}")

set(problems)
if(NOT status MATCHES "^(${STATUS})$")
  list(APPEND problems "status ${status} should be ${STATUS}")
endif()
if(OUTPUT AND NOT output MATCHES "${OUTPUT}")
  list(APPEND problems "the console should match: ${OUTPUT}")
endif()
if(ERRORS AND NOT errors MATCHES "${ERRORS}")
  list(APPEND problems "standard error should match: ${ERRORS}")
endif()
if(output MATCHES "(^|\n)(FAIL|PANIC): ")
  list(APPEND problems "the guest reports a failure")
endif()
if(errors MATCHES "Sanitizer|runtime error:")
  list(APPEND problems "a sanitizer reports an error")
endif()
if(problems)
  list(JOIN problems "\n  " problems)
  message(FATAL_ERROR "vpmu run ${OPTIONS}\n${output}\n${errors}\n  ${problems}")
endif()
