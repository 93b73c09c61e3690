# Makes a shell use the ROS 2 that scripts/setup put into @PREFIX@. For sh, bash and zsh; colcon sources it, too, in
# the workspaces that are built on this ROS. Written by scripts/setup.

# _hebb_path VARIABLE FOLDER: adds to the end of a path list what is not in it, so that overlays stay in front.
_hebb_path() {
    eval "_hebb_list=\${$1:-}"
    case ":$_hebb_list:" in
        *":$2:"*) ;;
        *) eval "export $1=\"\${_hebb_list:+\$_hebb_list:}\$2\"" ;;
    esac
    unset _hebb_list
}

_hebb_path AMENT_PREFIX_PATH '@PREFIX@'
_hebb_path CMAKE_PREFIX_PATH '@PREFIX@'
_hebb_path LD_LIBRARY_PATH '@PREFIX@/lib'
@LIBRARIES@
unset -f _hebb_path

# The virtual environment's Python comes first, as its packages are ROS; CMake finds it by VIRTUAL_ENV.
case "$PATH:" in
    '@PREFIX@/bin:'*) ;;
    *) export PATH='@PREFIX@/bin':"$PATH" ;;
esac
export VIRTUAL_ENV='@PREFIX@'

# r2r reads the headers of ROS with this libclang. It is the bare library, so the C compiler's own headers are named, too.
if [ -z "${LIBCLANG_PATH:-}" ]; then
    export LIBCLANG_PATH='@LIBCLANG@'
    # shellcheck disable=SC2086 # CC may hold a launcher or arguments as well
    _hebb_headers=$(cd / && ${CC:-cc} -print-file-name=include 2>/dev/null)
    export BINDGEN_EXTRA_CLANG_ARGS="${BINDGEN_EXTRA_CLANG_ARGS:+$BINDGEN_EXTRA_CLANG_ARGS }-isystem $_hebb_headers"
    unset _hebb_headers
fi

export ROS_DISTRO=jazzy ROS_VERSION=2 ROS_PYTHON_VERSION=3
# The library path stands above. Without this word every start of Python would execute itself again to set it.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
