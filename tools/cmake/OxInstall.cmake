# cmake --install: library, tool, public headers (installed by ox_add_public_include), a CMake
# package (find_package(onnxopt) gives onnxopt::onnxopt and the runtime onnxopt::onnxopt_rt) and
# pkg-config files.
include(CMakePackageConfigHelpers)

install(TARGETS onnxopt onnxopt_rt EXPORT onnxoptTargets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(ox_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/onnxopt)
install(EXPORT onnxoptTargets NAMESPACE onnxopt:: DESTINATION ${ox_package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/onnxoptConfig.cmake.in
                              ${OX_GENERATED_DIR}/onnxoptConfig.cmake
                              INSTALL_DESTINATION ${ox_package_dir})
write_basic_package_version_file(${OX_GENERATED_DIR}/onnxoptConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${OX_GENERATED_DIR}/onnxoptConfig.cmake
              ${OX_GENERATED_DIR}/onnxoptConfigVersion.cmake DESTINATION ${ox_package_dir})

# Relative to the file itself, so that --prefix and moved trees are right.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(ox_pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH ox_pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(ox_pc_prefix "\${pcfiledir}/${ox_pc_up}")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/onnxopt.pc.in ${OX_GENERATED_DIR}/onnxopt.pc @ONLY)
list(JOIN OX_XNNPACK_PC " " ox_pc_xnnpack)
configure_file(${CMAKE_CURRENT_LIST_DIR}/onnxopt_rt.pc.in ${OX_GENERATED_DIR}/onnxopt_rt.pc @ONLY)
install(FILES ${OX_GENERATED_DIR}/onnxopt.pc ${OX_GENERATED_DIR}/onnxopt_rt.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${OX_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The manual page is printed by the tool itself, from its flag table.
option(ONNXOPT_MAN_PAGE "Generate and install onnxopt.1" ON)
if(ONNXOPT_MAN_PAGE)
  add_custom_command(
    OUTPUT ${OX_GENERATED_DIR}/onnxopt.1
    COMMAND onnxopt_tool man >${OX_GENERATED_DIR}/onnxopt.1
    DEPENDS onnxopt_tool)
  add_custom_target(onnxopt_man ALL DEPENDS ${OX_GENERATED_DIR}/onnxopt.1)
  install(FILES ${OX_GENERATED_DIR}/onnxopt.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
