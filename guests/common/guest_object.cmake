# What guests of all architectures are built with. Who includes this sets, before it makes objects:
#   guest_compiler   the freestanding C and C++ compiler
#   guest_flags      of the architecture, with guest_common_flags
# Images made are in the folder's property guest_images.
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

# guest_objects(OUT SOURCES sources... [FLAGS flags...]): compiles several; OUT is the objects.
function(guest_objects out)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;FLAGS")
  set(objects)
  foreach(source ${ARG_SOURCES})
    guest_object(object ${source} ${ARG_FLAGS})
    list(APPEND objects ${object})
  endforeach()
  set(${out} ${objects} PARENT_SCOPE)
endfunction()

# guest_image(NAME SCRIPT script SOURCES sources... [RUNTIME sources...] [ENTRY symbol] [FLAGS flags...]
# [RUNTIME_FLAGS flags...] [LINK_FLAGS flags...] [PROFILED]): NAME.elf, linked by the script. FLAGS are
# for the sources alone. PROFILED: all of it is compiled with guest_profiled_flags, too.
function(guest_image name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "PROFILED" "SCRIPT;ENTRY"
    "SOURCES;RUNTIME;FLAGS;RUNTIME_FLAGS;LINK_FLAGS")
  if(NOT ARG_ENTRY)
    set(ARG_ENTRY guest_entry)
  endif()
  if(ARG_PROFILED)
    list(PREPEND ARG_FLAGS ${guest_profiled_flags})
    list(PREPEND ARG_RUNTIME_FLAGS ${guest_profiled_flags})
  endif()
  guest_objects(objects SOURCES ${ARG_SOURCES} FLAGS ${ARG_FLAGS})
  guest_objects(runtime SOURCES ${ARG_RUNTIME} FLAGS ${ARG_RUNTIME_FLAGS})
  set(image ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  set(script ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SCRIPT})
  add_custom_command(OUTPUT ${image}
    COMMAND ${guest_compiler} ${ARG_LINK_FLAGS} -nostdlib -static -no-pie -Wl,-T,${script} -Wl,-e,${ARG_ENTRY}
      -Wl,-z,max-page-size=4096 -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments
      ${objects} ${runtime} -o ${image}
    DEPENDS ${objects} ${runtime} ${script} VERBATIM COMMENT "Guest ${name}")
  set_property(DIRECTORY APPEND PROPERTY guest_images ${image})
endfunction()
