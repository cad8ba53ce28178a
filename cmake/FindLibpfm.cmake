# libpfm4, which has no package configuration of its own: target Libpfm::pfm.
find_library(LIBPFM_LIBRARY pfm)
find_path(LIBPFM_INCLUDE_DIR perfmon/pfmlib.h)
mark_as_advanced(LIBPFM_LIBRARY LIBPFM_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libpfm REQUIRED_VARS LIBPFM_LIBRARY LIBPFM_INCLUDE_DIR)
if(Libpfm_FOUND AND NOT TARGET Libpfm::pfm)
  add_library(Libpfm::pfm UNKNOWN IMPORTED)
  set_target_properties(Libpfm::pfm PROPERTIES
    IMPORTED_LOCATION ${LIBPFM_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LIBPFM_INCLUDE_DIR})
endif()
