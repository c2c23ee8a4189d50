# Compiler settings, in one place. `umemcg_flags` is for everything;
# `umemcg_core_flags` is for what goes into libumemcg.so: no exceptions, no
# RTTI, no guarded statics (they would drag libstdc++ in).
add_library(umemcg_flags INTERFACE)
target_compile_features(umemcg_flags INTERFACE cxx_std_20 c_std_11)
target_include_directories(umemcg_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(umemcg_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wundef -Werror -fno-omit-frame-pointer
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>)

add_library(umemcg_core_flags INTERFACE)
target_link_libraries(umemcg_core_flags INTERFACE umemcg_flags)
target_compile_options(umemcg_core_flags INTERFACE
  -fvisibility=hidden
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden -fno-exceptions
    -fno-rtti -fno-threadsafe-statics>
  -momit-leaf-frame-pointer -fno-plt
  # Values out of a damaged segment may be anything: sums of them wrap.
  -fwrapv)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(UMEMCG_SANITIZE "" CACHE STRING
  "Sanitizers for everything below shim: address;undefined or thread")
# UBSan looks at umemcg's own code: in gtest's macros it would double the time
# of compiling the tests. Debug information is for the lines of reports.
if(UMEMCG_SANITIZE)
  foreach(sanitizer IN LISTS UMEMCG_SANITIZE)
    set(target umemcg_flags)
    if(sanitizer STREQUAL "undefined")
      set(target umemcg_core_flags)
    endif()
    target_compile_options(${target} INTERFACE -fsanitize=${sanitizer})
    target_link_options(umemcg_flags INTERFACE -fsanitize=${sanitizer})
  endforeach()
  target_compile_options(umemcg_flags INTERFACE -fno-sanitize-recover=all -g1
    # Less time to compile than it costs to run.
    $<$<CONFIG:RelWithDebInfo>:-O1>)
endif()

# umemcg_layer(NAME SOURCES... LINK LIBRARIES...): one static library a folder.
function(umemcg_layer name)
  cmake_parse_arguments(layer "" "" "SOURCES;LINK" ${ARGN})
  add_library(umemcg_${name} STATIC ${layer_SOURCES})
  target_link_libraries(umemcg_${name} PUBLIC umemcg_flags ${layer_LINK}
    PRIVATE umemcg_core_flags)
endfunction()
