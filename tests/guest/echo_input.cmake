# SPDX-License-Identifier: MIT
#
# What goes into the command's standard input must come out of a guest that echoes its serial port:
# cmake -DVPMU=... -DGUEST=echo.elf -P
cmake_minimum_required(VERSION 3.23)

# echoes(NAME input expected-output expected-status): both are shell commands.
function(echoes name input expected expected_status)
  execute_process(COMMAND sh -c "${expected}" OUTPUT_VARIABLE expected_output)
  execute_process(COMMAND sh -c "${input}" COMMAND ${VPMU} run ${GUEST}
    OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  if(NOT status EQUAL expected_status)
    message(SEND_ERROR "${name}: status ${status} should be ${expected_status}\n${errors}")
  endif()
  if(NOT output STREQUAL expected_output)
    message(SEND_ERROR "${name}: the guest's output is not its input\n${output}")
  endif()
endfunction()

echoes("a line" "printf 'hello\\n\\004'" "echo hello" 1)
echoes("more than any buffer" "seq 1 20000; printf '\\004'" "seq 1 20000" 1)
echoes("input that comes while the guest sleeps"
  "printf 'hel'; sleep 0.3; printf 'lo\\n'; sleep 0.3; printf '\\004'" "echo hello" 1)
# Nobody can wake it any more.
echoes("input that ends" "echo hello" "echo hello" 124)
echoes("no input" ":" ":" 124)
