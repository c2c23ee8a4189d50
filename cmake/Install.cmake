# `cmake --install`: a prefix that may be moved. bin/umemcg looks for the
# library in ../lib, libumemcg.so for mimalloc beside itself.
include(CMakePackageConfigHelpers)

set(umemcg_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/umemcg)
set(umemcg_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS umemcg RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS umemcg_shared umemcg_api umemcg_new EXPORT umemcgTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/umemcg DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# mimalloc goes along unless the system has it where every program looks.
get_filename_component(mimalloc_dir ${UMEMCG_MIMALLOC_LIBRARY} DIRECTORY)
if(NOT mimalloc_dir MATCHES "^/(usr/)?lib(64|/${CMAKE_LIBRARY_ARCHITECTURE})?$")
  install(CODE "file(INSTALL \"${UMEMCG_MIMALLOC_LIBRARY}\"
    DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}\"
    TYPE SHARED_LIBRARY FOLLOW_SYMLINK_CHAIN)")
endif()

# find_package(umemcg): the target umemcg::umemcg is the shared library,
# umemcg::api and umemcg::new are the static ones.
set_target_properties(umemcg_shared PROPERTIES EXPORT_NAME umemcg)
install(EXPORT umemcgTargets NAMESPACE umemcg::
  DESTINATION ${umemcg_cmake_dir})
configure_package_config_file(cmake/umemcgConfig.cmake.in
  ${PROJECT_BINARY_DIR}/umemcgConfig.cmake
  INSTALL_DESTINATION ${umemcg_cmake_dir})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/umemcgConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/umemcgConfig.cmake
    ${PROJECT_BINARY_DIR}/umemcgConfigVersion.cmake
  DESTINATION ${umemcg_cmake_dir})

# pkg-config umemcg, umemcg-api and umemcg-new: where the prefix is, seen from
# the file itself.
file(RELATIVE_PATH UMEMCG_PC_PREFIX /${umemcg_pc_dir} /)
string(REGEX REPLACE "/$" "" UMEMCG_PC_PREFIX "${UMEMCG_PC_PREFIX}")
foreach(name umemcg umemcg-api umemcg-new)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${umemcg_pc_dir})
endforeach()
