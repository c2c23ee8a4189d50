# mimalloc 3.6 or newer: the system's, or the one that .ci/setup put under
# build/deps. libmimalloc.so.3 lands beside libumemcg.so in the build folder.
list(APPEND CMAKE_PREFIX_PATH ${PROJECT_SOURCE_DIR}/build/deps/usr)
find_package(mimalloc 3.6 REQUIRED CONFIG)
get_target_property(mimalloc_includes mimalloc INTERFACE_INCLUDE_DIRECTORIES)
find_file(UMEMCG_MIMALLOC_LIBRARY libmimalloc.so.3
  HINTS ${mimalloc_DIR}/../.. REQUIRED)
file(COPY ${UMEMCG_MIMALLOC_LIBRARY} DESTINATION ${PROJECT_BINARY_DIR}
  FOLLOW_SYMLINK_CHAIN)
