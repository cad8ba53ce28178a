# The core (base, silicon, hostperf, virt) as an installable CMake package: component `core`.
#
#   find_package(vpmu REQUIRED)
#   target_link_libraries(my_vmm PRIVATE vpmu::virt)
include(CMakePackageConfigHelpers)

set(floors base silicon hostperf virt)

# vpmu::core: all floors, for those who do not want to think about it.
add_library(vpmu_core INTERFACE)
foreach(floor ${floors})
  target_link_libraries(vpmu_core INTERFACE vpmu_${floor})
endforeach()

foreach(name ${floors} core)
  add_library(vpmu::${name} ALIAS vpmu_${name})
  set_target_properties(vpmu_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS vpmu_${name} EXPORT vpmu-targets COMPONENT core
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT core)
endforeach()

foreach(floor ${floors})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/vpmu/${floor}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/vpmu COMPONENT core FILES_MATCHING PATTERN "*.hpp")
endforeach()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vpmu)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/vpmu-config.cmake.in
  ${PROJECT_BINARY_DIR}/vpmu-config.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0, a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vpmu-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/vpmu-config.cmake ${PROJECT_BINARY_DIR}/vpmu-config-version.cmake
  DESTINATION ${package_dir} COMPONENT core)
install(EXPORT vpmu-targets NAMESPACE vpmu:: DESTINATION ${package_dir} COMPONENT core)
