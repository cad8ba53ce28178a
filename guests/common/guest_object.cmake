# What guests of all architectures are built with. Who includes this sets, before it makes objects:
#   guest_compiler   the freestanding C and C++ compiler
#   guest_flags      of the architecture, with guest_common_flags
set(guest_c_flags -std=gnu11)
set(guest_cxx_flags -std=gnu++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics)
set(guest_common_flags -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector
  -fno-asynchronous-unwind-tables -fno-tree-vectorize -fno-strict-aliasing -Wall -Wextra -Wshadow -Werror
  -I${CMAKE_CURRENT_SOURCE_DIR} -I${PROJECT_SOURCE_DIR}/guests/common
  -I${PROJECT_SOURCE_DIR}/guests/common/runtime -I${PROJECT_SOURCE_DIR}/guests)
# Guests that are profiled: stacks can be followed, and code has lines.
set(guest_profiled_flags -mgeneral-regs-only -g -fno-omit-frame-pointer -fno-optimize-sibling-calls)
# The part of the runtime that is the same everywhere.
set(guest_common_runtime print.c check.c options.c memory.c smp_tasks.c)

# guest_object(OUT source flags...): compiles one file; OUT is the object. Each file with the same
# flags only once. Without flags it may not touch floating-point registers: interrupt handlers do not
# save them.
function(guest_object out source)
  if(NOT ARGN)
    set(ARGN -mgeneral-regs-only)
  endif()
  string(MD5 variant "${ARGN}")
  string(SUBSTRING ${variant} 0 6 variant)
  cmake_path(REPLACE_EXTENSION source LAST_ONLY "${variant}.o" OUTPUT_VARIABLE object)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/objects/${object})
  set(${out} ${object} PARENT_SCOPE)
  get_property(known GLOBAL PROPERTY guest_objects)
  if(object IN_LIST known)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY guest_objects ${object})
  cmake_path(GET object PARENT_PATH folder)
  file(MAKE_DIRECTORY ${folder})
  set(language ${guest_c_flags})
  if(source MATCHES "\\.cpp$")
    set(language ${guest_cxx_flags})
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${VPMU_COMPILER_LAUNCHER} ${guest_compiler} ${language} ${guest_flags} ${ARGN} -MD -MF ${object}.d -MQ ${object}
      -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d VERBATIM
    COMMENT "Guest object ${source}")
endfunction()
