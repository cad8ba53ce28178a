# dynarmic, whose own package configuration wants what only its makers need: target Libdynarmic::dynarmic.
find_library(LIBDYNARMIC_LIBRARY dynarmic)
find_path(LIBDYNARMIC_INCLUDE_DIR dynarmic/interface/A64/a64.h)
mark_as_advanced(LIBDYNARMIC_LIBRARY LIBDYNARMIC_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libdynarmic
  REQUIRED_VARS LIBDYNARMIC_LIBRARY LIBDYNARMIC_INCLUDE_DIR)
if(Libdynarmic_FOUND AND NOT TARGET Libdynarmic::dynarmic)
  add_library(Libdynarmic::dynarmic UNKNOWN IMPORTED)
  set_target_properties(Libdynarmic::dynarmic PROPERTIES
    IMPORTED_LOCATION ${LIBDYNARMIC_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${LIBDYNARMIC_INCLUDE_DIR})
endif()
