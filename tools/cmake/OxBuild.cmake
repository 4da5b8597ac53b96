# The build's vocabulary: flags, dependencies, the library and the functions that folders call.
#
#   ox_add_sources(FILE...)            add files to the library; to ${OX_OBJECTS} where the folder sets it:
#                                      ox_common_objects (both libraries), ox_rt_objects (the runtime)
#   ox_add_kernel_sources(FILE...)     the same for inner loops: -O3, vectorized
#   ox_add_public_include()            ./include holds public headers: exported and installed
#   ox_add_tool_sources(FILE...)       add files to the command line tool
#   ox_add_check_suite(NAME FILE...)   a Check program, registered with ctest
#   ox_add_fuzz_target(NAME FILE...)   LLVMFuzzerTestOneInput: libFuzzer program or replay driver
#
# Every function accepts an empty list and then does nothing, so a folder may exist before its code.

include(CheckCCompilerFlag)
include(CheckPIESupported)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
check_pie_supported(LANGUAGES C)

set(OX_SOURCE_DIR ${PROJECT_SOURCE_DIR})
set(OX_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)

# ---------------------------------------------------------------------------------------- flags
# One interface target carries them; generated and foreign code is compiled with -w instead.
add_library(ox_flags INTERFACE)
target_compile_definitions(ox_flags INTERFACE _DEFAULT_SOURCE _POSIX_C_SOURCE=200809L
                                              _FILE_OFFSET_BITS=64)
target_compile_options(
  ox_flags
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wvla
            -Wformat=2
            -Wundef
            -Wcast-qual
            -Wwrite-strings
            -Wpointer-arith
            # Folded and quantized constants must not depend on the compiler's taste for FMA.
            -ffp-contract=off)
if(ONNXOPT_WERROR)
  target_compile_options(ox_flags INTERFACE -Werror)
endif()

set(OX_OPTIMIZED $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)

function(ox_flag_if_supported flag)
  string(MAKE_C_IDENTIFIER "OX_HAVE${flag}" var)
  check_c_compiler_flag("-Werror ${flag}" ${var})
  if(${var})
    target_compile_options(ox_flags INTERFACE $<${OX_OPTIMIZED}:${flag}>)
  endif()
endfunction()

if(ONNXOPT_SANITIZE OR ONNXOPT_COVERAGE OR ONNXOPT_FUZZ)
  # Instrumentation replaces hardening: _FORTIFY_SOURCE hides calls from the sanitizers.
  set(ox_instrument "")
  if(ONNXOPT_SANITIZE)
    list(APPEND ox_instrument -fsanitize=${ONNXOPT_SANITIZE} -fno-sanitize-recover=all)
  endif()
  if(ONNXOPT_COVERAGE)
    list(APPEND ox_instrument --coverage)
  endif()
  if(ONNXOPT_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
      message(FATAL_ERROR "ONNXOPT_FUZZ needs clang (preset: fuzz)")
    endif()
    list(APPEND ox_instrument -fsanitize=fuzzer-no-link)
  endif()
  add_compile_options(${ox_instrument} -fno-omit-frame-pointer)
  add_link_options(${ox_instrument})
elseif(ONNXOPT_HARDEN)
  target_compile_options(ox_flags INTERFACE $<${OX_OPTIMIZED}:-U_FORTIFY_SOURCE>)
  foreach(flag -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
               -fcf-protection -ftrivial-auto-var-init=zero)
    ox_flag_if_supported(${flag})
  endforeach()
  if(NOT APPLE)
    add_link_options(-Wl,-z,relro,-z,now)
  endif()
endif()

# --------------------------------------------------------------------------------- dependencies
find_package(PkgConfig REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.3)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.10)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(TIFF REQUIRED IMPORTED_TARGET libtiff-4>=4.5)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(OPENJP2 REQUIRED IMPORTED_TARGET libopenjp2>=2.3)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.34)
# What both libraries need (ir/codec), and what only libonnxopt does.
set(ox_codec_libraries PNG::PNG JPEG::JPEG PkgConfig::TIFF PkgConfig::WEBP PkgConfig::OPENJP2
                       PkgConfig::PCRE2)
set(ox_libraries PkgConfig::PROTOBUF_C ${ox_codec_libraries} ZLIB::ZLIB)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_program(PROTOC_C NAMES protoc-c protoc-gen-c REQUIRED)
if(BUILD_TESTING)
  pkg_check_modules(CHECK IMPORTED_TARGET check>=0.15)
  if(NOT CHECK_FOUND)
    message(FATAL_ERROR "the tests need Check (Debian: package check); or -DBUILD_TESTING=OFF")
  endif()
endif()

# Directory of a Debian package's content, fetched into a cache outside the source tree at need.
function(ox_debian_package name out)
  execute_process(
    COMMAND ${OX_SOURCE_DIR}/third_party/get-debian-packages ${name}
    OUTPUT_VARIABLE dir
    OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE rc)
  if(NOT rc EQUAL 0)
    message(FATAL_ERROR "could not obtain ${name} (see above)")
  endif()
  set(${out} ${dir} PARENT_SCOPE)
endfunction()

set(ox_proto "${ONNXOPT_ONNX_PROTO}")
if(NOT ox_proto)
  ox_debian_package(libonnx-dev dir)
  set(ox_proto ${dir}/usr/include/onnx/onnx.proto)
endif()
if(NOT EXISTS "${ox_proto}")
  message(FATAL_ERROR "no ONNX schema at ${ox_proto}")
endif()
set(OX_ONNX_TESTDATA "${ONNXOPT_ONNX_TESTDATA}")
if(BUILD_TESTING AND NOT OX_ONNX_TESTDATA)
  ox_debian_package(libonnx-testdata dir)
  set(OX_ONNX_TESTDATA ${dir}/usr/share/libonnx-testdata/data)
endif()
if(BUILD_TESTING AND NOT IS_DIRECTORY "${OX_ONNX_TESTDATA}/node")
  message(FATAL_ERROR "no ONNX backend test data (a folder node/) in '${OX_ONNX_TESTDATA}'")
endif()

# ---------------------------------------------------------------------------------- the library
# All code is compiled once, as objects: ox_common_objects (ir/base, ir/codec, ir/ops, backend/blob) are in
# both libraries, ox_objects make the rest of libonnxopt, ox_rt_objects that of libonnxopt_rt, which
# is always static. Where libonnxopt is a shared library that exports the public API only, the
# tests get a static one to look inside.
file(MAKE_DIRECTORY ${OX_GENERATED_DIR})
configure_file("${ox_proto}" ${OX_GENERATED_DIR}/onnx-ml.proto COPYONLY)
add_custom_command(
  OUTPUT ${OX_GENERATED_DIR}/onnx-ml.pb-c.c ${OX_GENERATED_DIR}/onnx-ml.pb-c.h
  COMMAND ${PROTOC_C} --proto_path=${OX_GENERATED_DIR} --c_out=${OX_GENERATED_DIR}
          ${OX_GENERATED_DIR}/onnx-ml.proto
  DEPENDS ${OX_GENERATED_DIR}/onnx-ml.proto
  COMMENT "Generating the ONNX messages")
add_library(ox_objects OBJECT ${OX_GENERATED_DIR}/onnx-ml.pb-c.c ${OX_GENERATED_DIR}/onnx-ml.pb-c.h)
set_source_files_properties(${OX_GENERATED_DIR}/onnx-ml.pb-c.c PROPERTIES COMPILE_OPTIONS -w)
target_link_libraries(ox_objects PRIVATE ox_flags ${ox_libraries} Threads::Threads)
target_include_directories(ox_objects SYSTEM PRIVATE ${OX_GENERATED_DIR})
target_include_directories(ox_objects PRIVATE ${OX_SOURCE_DIR})
foreach(target ox_common_objects ox_rt_objects)
  add_library(${target} OBJECT)
  target_link_libraries(${target} PRIVATE ox_flags ${ox_codec_libraries} Threads::Threads)
  target_include_directories(${target} PRIVATE ${OX_SOURCE_DIR})
endforeach()

function(ox_link_library target)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:ox_common_objects> $<TARGET_OBJECTS:ox_objects>)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(${target} PRIVATE ${ox_libraries} Threads::Threads m)
endfunction()

add_library(onnxopt)
add_library(onnxopt::onnxopt ALIAS onnxopt)
ox_link_library(onnxopt)
set_target_properties(onnxopt PROPERTIES VERSION ${PROJECT_VERSION}
                                         SOVERSION ${PROJECT_VERSION_MAJOR})
if(BUILD_SHARED_LIBS)
  # What a public header declares is exported, nothing else.
  add_custom_command(
    OUTPUT ${OX_GENERATED_DIR}/onnxopt.map
    COMMAND ${CMAKE_COMMAND} -DROOT=${OX_SOURCE_DIR} -DOUT=${OX_GENERATED_DIR}/onnxopt.map -P
            ${CMAKE_CURRENT_LIST_DIR}/OxExports.cmake
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/OxExports.cmake
    COMMENT "Collecting the public functions")
  add_custom_target(ox_exports DEPENDS ${OX_GENERATED_DIR}/onnxopt.map)
  add_dependencies(onnxopt ox_exports)
  target_link_options(onnxopt PRIVATE -Wl,--version-script=${OX_GENERATED_DIR}/onnxopt.map)
  if(NOT ONNXOPT_SANITIZE) # their runtime is in the program
    target_link_options(onnxopt PRIVATE -Wl,--no-undefined)
  endif()
  set_target_properties(onnxopt PROPERTIES LINK_DEPENDS ${OX_GENERATED_DIR}/onnxopt.map)
  add_library(ox_inside STATIC)
  ox_link_library(ox_inside)
else()
  add_library(ox_inside ALIAS onnxopt)
endif()

add_library(onnxopt_rt STATIC $<TARGET_OBJECTS:ox_common_objects> $<TARGET_OBJECTS:ox_rt_objects>)
add_library(onnxopt::onnxopt_rt ALIAS onnxopt_rt)
set_target_properties(onnxopt_rt PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(onnxopt_rt PRIVATE ${ox_codec_libraries} Threads::Threads m)

function(ox_add_sources)
  if(NOT OX_OBJECTS)
    set(OX_OBJECTS ox_objects)
  endif()
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  target_sources(${OX_OBJECTS} PRIVATE ${ARGN})
endfunction()

function(ox_add_kernel_sources)
  if(NOT OX_OBJECTS)
    set(OX_OBJECTS ox_objects)
  endif()
  ox_add_sources(${ARGN})
  # errno and traps of libm are not observed by anyone; results stay those of IEEE 754.
  set_source_files_properties(
    ${ARGN} TARGET_DIRECTORY ${OX_OBJECTS}
    PROPERTIES COMPILE_OPTIONS "$<${OX_OPTIMIZED}:-O3;-fno-math-errno;-fno-trapping-math>")
endfunction()

function(ox_add_public_include)
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/include)
  foreach(target ox_objects ox_common_objects ox_rt_objects)
    target_include_directories(${target} PRIVATE ${dir})
  endforeach()
  target_include_directories(onnxopt PUBLIC $<BUILD_INTERFACE:${dir}>)
  target_include_directories(onnxopt_rt PUBLIC $<BUILD_INTERFACE:${dir}>)
  if(BUILD_SHARED_LIBS)
    target_include_directories(ox_inside PUBLIC ${dir})
  endif()
  if(EXISTS ${dir})
    install(DIRECTORY ${dir}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
  endif()
endfunction()

# -------------------------------------------------------------------------------- tool and tests
function(ox_add_tool_sources)
  if(NOT ARGN)
    return()
  endif()
  if(NOT TARGET onnxopt_tool)
    add_executable(onnxopt_tool)
    set_target_properties(onnxopt_tool PROPERTIES OUTPUT_NAME onnxopt)
    target_compile_definitions(onnxopt_tool PRIVATE OX_VERSION="${PROJECT_VERSION}")
    target_include_directories(onnxopt_tool PRIVATE ${OX_SOURCE_DIR})
    target_link_libraries(onnxopt_tool PRIVATE ox_flags onnxopt onnxopt_rt PkgConfig::JANSSON m)
    install(TARGETS onnxopt_tool)
  endif()
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  target_sources(onnxopt_tool PRIVATE ${ARGN})
endfunction()

# A test program that may look inside the library. It finds data under OX_SOURCE_DIR and
# OX_ONNX_TESTDATA (string macros).
function(ox_add_test_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE ox_flags ox_inside onnxopt_rt m)
  target_include_directories(${name} SYSTEM PRIVATE ${OX_GENERATED_DIR})
  target_include_directories(${name} SYSTEM PRIVATE ${PROTOBUF_C_INCLUDE_DIRS})
  target_include_directories(${name} PRIVATE ${OX_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE OX_SOURCE_DIR="${OX_SOURCE_DIR}"
                                             OX_ONNX_TESTDATA="${OX_ONNX_TESTDATA}")
endfunction()

# Every ctest entry has a time limit and the sanitizers' strict settings.
function(ox_test_properties name timeout)
  set_tests_properties(
    ${name}
    PROPERTIES
      TIMEOUT
      ${timeout}
      ENVIRONMENT
      "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1:max_allocation_size_mb=4096;UBSAN_OPTIONS=print_stacktrace=1;CK_DEFAULT_TIMEOUT=60"
  )
endfunction()

# A test program for each class of instructions that clones of loops (ir/ops/simd.h) are chosen by: NAME, NAME_avx2, NAME_plain, all
# registered with ctest; one program where there are no clones. See tests/unit/isa_levels.h.
function(ox_add_level_programs name)
  set(classes 0)
  if(CMAKE_C_COMPILER_ID STREQUAL GNU AND CMAKE_SYSTEM_PROCESSOR MATCHES x86_64 AND NOT ONNXOPT_SANITIZE AND NOT BUILD_SHARED_LIBS)
    set(classes 3 2 1)
  endif()
  foreach(class ${classes})
    set(program ${name})
    if(class EQUAL 2)
      set(program ${name}_avx2)
    elseif(class EQUAL 1)
      set(program ${name}_plain)
    endif()
    ox_add_test_program(${program} ${ARGN} ${OX_SOURCE_DIR}/tests/unit/isa_levels.c)
    target_compile_definitions(${program} PRIVATE ISA_CLASS=${class})
    if(class)
      target_link_options(${program} PRIVATE -Wl,--wrap=__cpu_indicator_init)
    endif()
    if(OX_XNNPACK)
      target_link_libraries(${program} PRIVATE ox_xnnpack)
    endif()
    add_test(NAME ${program} COMMAND ${program})
    ox_test_properties(${program} 180)
  endforeach()
endfunction()

function(ox_add_check_suite name)
  if(NOT ARGN)
    return()
  endif()
  ox_add_test_program(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE PkgConfig::CHECK)
  add_test(NAME ${name} COMMAND ${name})
  ox_test_properties(${name} 180)
endfunction()

function(ox_add_fuzz_target name)
  if(NOT ARGN)
    return()
  endif()
  if(ONNXOPT_FUZZ)
    ox_add_test_program(fuzz_${name} ${ARGN})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(replay -runs=0)
  else()
    ox_add_test_program(fuzz_${name} ${ARGN} ${OX_SOURCE_DIR}/tests/fuzz/replay_main.c)
    set(replay "")
  endif()
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT EXISTS ${corpus})
    message(FATAL_ERROR "fuzz target ${name} has no corpus folder ${corpus}")
  endif()
  add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${replay} ${corpus})
  ox_test_properties(fuzz_${name} 180)
endfunction()
