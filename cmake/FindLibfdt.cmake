# libfdt, which has no package configuration of its own: target Libfdt::fdt.
find_library(LIBFDT_LIBRARY fdt)
find_path(LIBFDT_INCLUDE_DIR libfdt.h)
mark_as_advanced(LIBFDT_LIBRARY LIBFDT_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libfdt REQUIRED_VARS LIBFDT_LIBRARY LIBFDT_INCLUDE_DIR)
if(Libfdt_FOUND AND NOT TARGET Libfdt::fdt)
  add_library(Libfdt::fdt UNKNOWN IMPORTED)
  set_target_properties(Libfdt::fdt PROPERTIES
    IMPORTED_LOCATION ${LIBFDT_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LIBFDT_INCLUDE_DIR})
endif()
