# shellcheck shell=bash
# Which ROS 2 is in use, whether what setup made for it is current, and the environment of commands that use it.
# Sourced by setup and with_ros, which set `root` before. Must stay fast: with_ros does all of this at each start.

# Raise it when setup makes something else from the same inputs.
setup_version=1

# Where cargo builds, when it is started in this repository.
cargo_target=${CARGO_TARGET_DIR:-target}
[[ $cargo_target == /* ]] || cargo_target=$root/$cargo_target

# Sets ros_kind (sourced or made), ros_prefix, ros_distro, and where setup keeps what belongs to this ROS:
# the staged interfaces and the record of the environment.
locate_ros() {
    local prefix prefixes key
    ros_kind=made
    ros_prefix=$root/.ros/jazzy
    ros_distro=jazzy
    key=made
    IFS=: read -ra prefixes <<<"${AMENT_PREFIX_PATH:-}"
    for prefix in "${prefixes[@]}"; do
        [[ -e $prefix/share/rcl/package.xml ]] || continue
        # Inside with_ros the ROS that setup made looks like a sourced one.
        [[ $prefix -ef $ros_prefix ]] && break
        ros_kind=sourced
        ros_prefix=$prefix
        ros_distro=${ROS_DISTRO:-}
        # Two installations of one distribution must not share interfaces.
        key=$ros_distro-$(cksum <<<"$prefix")
        key=${key%% *}
        break
    done
    interfaces=$root/.ros/interfaces/$key
    record=$root/.ros/environment/$key.sh
}

# What the ROS that setup makes depends on. Its path counts, as a virtual environment cannot be moved.
made_ros_fingerprint() {
    (cd "$root/scripts/ros" && {
        echo "$setup_version $root"
        cat packages.lock repair.py local_setup.sh
    } | sha256sum)
}

ros_fingerprint() {
    if [[ $ros_kind == made ]]; then
        made_ros_fingerprint
    else
        # The packages' versions, so that an upgraded ROS gets new interfaces.
        echo "$setup_version $root $ros_prefix"
        cat "$ros_prefix"/share/{rcl,rosidl_generator_c,rosidl_typesupport_fastrtps_c,std_msgs}/package.xml 2>/dev/null || true
    fi
}

# What the staged interfaces and the record depend on.
environment_fingerprint() {
    (cd "$root" && {
        ros_fingerprint
        # The names as well as the contents.
        sha256sum package.xml CMakeLists.txt msg/*.msg srv/*.srv
    } | sha256sum)
}

# What the Rust code of the messages was made from, as far as r2r does not notice a change by itself.
messages_fingerprint() {
    (cd "$root" && {
        ros_fingerprint
        sha256sum msg/*.msg srv/*.srv
    } | sha256sum)
}

# Reads the record of setup: tools_path, libclang_path, bindgen_include, interfaces_python. Fails when there is none or when
# it is not that of the present tree and ROS.
read_record() {
    recorded_fingerprint=
    [[ -r $record ]] || return 1
    # shellcheck source=/dev/null
    source "$record"
    [[ $recorded_fingerprint == "$(environment_fingerprint)" ]] || return 1
    # The record outlives what it vouches for when somebody tidies up in .ros.
    [[ -e $interfaces/share/hebbian_locomotion/package.xml ]] || return 1
    # What lies outside this repository may have gone since, by an upgrade of the compiler for example.
    [[ -x $ros_prefix/bin/python3 || $ros_kind == sourced ]] && [[ -d ${bindgen_include:-/} && -e ${libclang_path:-/} ]]
}

# put_first VARIABLE FOLDER: in front of a path list, once.
put_first() {
    local list=:${!1:-}:
    list=${list//:"$2":/:}
    list=${list#:}
    list=${list%:}
    export "$1=$2${list:+:$list}"
}

# The environment of the ROS itself.
enter_ros() {
    if [[ $ros_kind == made ]]; then
        # shellcheck source=/dev/null
        source "$ros_prefix/local_setup.sh"
        # These packages hold one middleware; rcl would end the program with an error about any other.
        if [[ ${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp} != rmw_fastrtps_cpp ]]; then
            echo "${0##*/}: RMW_IMPLEMENTATION=$RMW_IMPLEMENTATION is ignored; the ROS in .ros has rmw_fastrtps_cpp only" >&2
            export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
        fi
    fi
    # Robots on the network are not to hear what is tried here, unless somebody asks for that.
    if [[ $ros_distro == humble ]]; then
        export ROS_LOCALHOST_ONLY=${ROS_LOCALHOST_ONLY:-1}
    else
        export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
    fi
}

# The tools that r2r and CMake need, where a sourced ROS comes without them.
enter_tools() {
    if [[ -n ${tools_path:-} ]]; then put_first PATH "$tools_path"; fi
    if [[ -n ${libclang_path:-} && -z ${LIBCLANG_PATH:-} ]]; then
        export LIBCLANG_PATH=$libclang_path
        if [[ -n ${bindgen_include:-} ]]; then
            export BINDGEN_EXTRA_CLANG_ARGS="${BINDGEN_EXTRA_CLANG_ARGS:+$BINDGEN_EXTRA_CLANG_ARGS }-isystem $bindgen_include"
        fi
    fi
}

# Our own messages, in front of any other build of them.
enter_interfaces() {
    put_first AMENT_PREFIX_PATH "$interfaces"
    put_first CMAKE_PREFIX_PATH "$interfaces"
    put_first LD_LIBRARY_PATH "$interfaces/lib"
    put_first PYTHONPATH "$interfaces_python"
}
