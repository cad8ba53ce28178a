# What every target of this project is compiled with, and vpmu_library(), the one way to add a folder.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# Empty where there is no ccache.
set(VPMU_COMPILER_LAUNCHER)
find_program(VPMU_CCACHE ccache)
if(VPMU_CCACHE)
  set(VPMU_COMPILER_LAUNCHER ${VPMU_CCACHE})
endif()
if(VPMU_COMPILER_LAUNCHER AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VPMU_COMPILER_LAUNCHER})
endif()

add_library(vpmu_options INTERFACE)
target_compile_options(vpmu_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  $<IF:$<CXX_COMPILER_ID:GNU>,-Wcast-align=strict,-Wcast-align>
  $<$<BOOL:${VPMU_WARNINGS_AS_ERRORS}>:-Werror>)
if(VPMU_SANITIZE)
  add_compile_options(-fsanitize=${VPMU_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1
    # GCC's thread sanitizer does not know fences and says so at each. It needs none to see races:
    # what they order are atomics.
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>)
  add_link_options(-fsanitize=${VPMU_SANITIZE})
endif()
if(VPMU_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(VPMU_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()

# vpmu_messages(NAME MESSAGES): a library of what protoc makes of src/MESSAGES.proto. Generated code keeps no
# rules of ours: its headers count as the system's.
function(vpmu_messages name messages)
  set(generated ${PROJECT_BINARY_DIR}/protobuf)
  set(proto ${PROJECT_SOURCE_DIR}/src/${messages}.proto)
  file(MAKE_DIRECTORY ${generated})
  add_custom_command(
    OUTPUT ${generated}/${messages}.pb.cc ${generated}/${messages}.pb.h
    COMMAND protobuf::protoc --cpp_out ${generated} -I ${PROJECT_SOURCE_DIR}/src ${proto}
    DEPENDS ${proto} VERBATIM COMMENT "Messages of ${messages}.proto")
  add_library(${name} STATIC ${generated}/${messages}.pb.cc)
  target_include_directories(${name} SYSTEM PUBLIC ${generated})
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf-lite)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# vpmu_library(NAME SOURCES... LINKS folders-below...): one static library per folder. What it may
# include is what it links: the link list is the architecture.
function(vpmu_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS}
    PRIVATE ${ARG_PRIVATE_LINKS} $<BUILD_INTERFACE:vpmu_options>)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  # Nobody replaces single functions of ours at load time; without this, GCC's position-independent
  # code is prepared for it and inlines nothing that has a name outside its file.
  target_compile_options(${name} PRIVATE -fno-semantic-interposition)
endfunction()
