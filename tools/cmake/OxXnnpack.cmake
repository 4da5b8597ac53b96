# XNNPACK for the native path: sets OX_XNNPACK (a truth value; in C the macro OX_XNNPACK, 0 or 1) and, where it is true,
# OX_XNNPACK_LIBRARIES and the target ox_xnnpack that carries headers and libraries. Without it the runtime still runs every model, on
# the operators' own kernels.
#
#   ONNXOPT_NATIVE           AUTO: use XNNPACK where it can be had; ON: or fail; OFF: do without
#   ONNXOPT_XNNPACK_SYSTEM   use the installed XNNPACK, pthreadpool and cpuinfo instead of our build.
#                            Installed ones lack third_party/xnnpack_corrections.sh, so the runtime
#                            keeps off the instruction sets whose kernels are wrong in them.
#   ONNXOPT_XNNPACK_PREFIX   a prefix that third_party/get-xnnpack has built elsewhere

set(ONNXOPT_NATIVE AUTO CACHE STRING "XNNPACK in the native runtime: AUTO, ON or OFF")
set_property(CACHE ONNXOPT_NATIVE PROPERTY STRINGS AUTO ON OFF)
option(ONNXOPT_XNNPACK_SYSTEM "Use the installed XNNPACK, without its faulty kernels" OFF)
set(ONNXOPT_XNNPACK_PREFIX "" CACHE PATH "What third_party/get-xnnpack has built; empty: build it")

set(ox_xnnpack_why "")
function(ox_find_xnnpack prefix)
  if(prefix)
    set(where PATHS ${prefix}/lib NO_DEFAULT_PATH)
    set(headers PATHS ${prefix}/include NO_DEFAULT_PATH)
  endif()
  add_library(ox_xnnpack INTERFACE)
  foreach(lib XNNPACK microkernels-prod pthreadpool cpuinfo)
    unset(OX_LIB_${lib} CACHE) # the prefix may be another one than last time
    find_library(OX_LIB_${lib} NAMES ${lib} ${where})
    mark_as_advanced(OX_LIB_${lib})
    if(OX_LIB_${lib})
      list(APPEND libraries ${OX_LIB_${lib}})
    elseif(prefix OR NOT lib STREQUAL microkernels-prod) # part of the library where it is shared
      set(ox_xnnpack_why "no library ${lib}" PARENT_SCOPE)
    endif()
  endforeach()
  unset(OX_XNNPACK_INCLUDE CACHE)
  find_path(OX_XNNPACK_INCLUDE NAMES xnnpack.h ${headers})
  mark_as_advanced(OX_XNNPACK_INCLUDE)
  if(NOT OX_XNNPACK_INCLUDE)
    set(ox_xnnpack_why "no xnnpack.h" PARENT_SCOPE)
    return()
  endif()
  # Its interface changes without a version: that of 2022 (Debian 12) is another one, that of Debian 13 is ours.
  file(STRINGS ${OX_XNNPACK_INCLUDE}/xnnpack.h known REGEX "struct xnn_weights_cache_provider {")
  if(NOT known)
    set(ox_xnnpack_why "the XNNPACK in ${OX_XNNPACK_INCLUDE} is older than 2024-11" PARENT_SCOPE)
    return()
  endif()
  target_include_directories(ox_xnnpack SYSTEM INTERFACE ${OX_XNNPACK_INCLUDE})
  target_link_libraries(ox_xnnpack INTERFACE ${libraries} Threads::Threads m)
  set(OX_XNNPACK_LIBRARIES ${libraries} PARENT_SCOPE)
endfunction()

set(OX_XNNPACK OFF)
if(ONNXOPT_NATIVE)
  set(prefix "${ONNXOPT_XNNPACK_PREFIX}")
  if(NOT prefix AND NOT ONNXOPT_XNNPACK_SYSTEM)
    execute_process(
      COMMAND ${OX_SOURCE_DIR}/third_party/get-xnnpack
      OUTPUT_VARIABLE prefix
      OUTPUT_STRIP_TRAILING_WHITESPACE
      RESULT_VARIABLE rc)
    if(NOT rc EQUAL 0)
      set(ox_xnnpack_why "third_party/get-xnnpack failed (see above)")
    endif()
  endif()
  if(NOT ox_xnnpack_why)
    ox_find_xnnpack("${prefix}")
  endif()
  if(NOT ox_xnnpack_why)
    set(OX_XNNPACK ON)
    if(ONNXOPT_XNNPACK_SYSTEM)
      target_compile_definitions(ox_flags INTERFACE OX_XNNPACK_UNCORRECTED=1)
    endif()
  elseif(ONNXOPT_NATIVE STREQUAL AUTO)
    message(WARNING "The native runtime goes without XNNPACK, and is slower: ${ox_xnnpack_why}")
  else()
    message(FATAL_ERROR "ONNXOPT_NATIVE is on, but: ${ox_xnnpack_why}")
  endif()
endif()

if(OX_XNNPACK)
  target_compile_definitions(ox_flags INTERFACE OX_XNNPACK=1)
  target_include_directories(ox_rt_objects SYSTEM
                             PRIVATE $<TARGET_PROPERTY:ox_xnnpack,INTERFACE_INCLUDE_DIRECTORIES>)
  # By their files, not by the target: the runtime is exported, the target is not. Our own build is installed beside the runtime.
  if(ONNXOPT_XNNPACK_SYSTEM)
    target_link_libraries(onnxopt_rt PRIVATE ${OX_XNNPACK_LIBRARIES})
    set(OX_XNNPACK_PC -lXNNPACK -lpthreadpool -lcpuinfo)
  else()
    foreach(file ${OX_XNNPACK_LIBRARIES})
      get_filename_component(name ${file} NAME)
      get_filename_component(short ${file} NAME_WE)
      target_link_libraries(onnxopt_rt PRIVATE $<BUILD_INTERFACE:${file}>
                            $<INSTALL_INTERFACE:$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}/onnxopt/${name}>)
      string(REGEX REPLACE "^lib" "-l" short ${short})
      list(APPEND OX_XNNPACK_PC ${short})
      install(FILES ${file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/onnxopt)
      get_filename_component(where ${file} DIRECTORY)
    endforeach()
    install(DIRECTORY ${where}/../licenses/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/licenses OPTIONAL)
    list(PREPEND OX_XNNPACK_PC "-L\${libdir}/onnxopt")
  endif()
else()
  target_compile_definitions(ox_flags INTERFACE OX_XNNPACK=0)
endif()
