# shellcheck shell=bash
# What must be on the machine to build: a C and a C++ compiler, make, Rust. And libclang, for which a wheel will do.

# as_root COMMAND...: runs it as root when that needs no password. The lock is not handed on: a package may start a
# service, which would hold it for ever.
as_root() {
    if ((EUID == 0)); then
        run "$@" 9>&-
    else
        command -v sudo >/dev/null && sudo -n true 2>/dev/null && run sudo -n "$@" 9>&-
    fi
}

# install_packages WHAT IS MISSING, PACKAGE...: from the Debian-like system below, or says what a person has to type.
install_packages() {
    local what=$1
    shift
    local command="apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "$what is missing." "Install it with your system's package manager, then run this again." \
            "(On Debian and Ubuntu: $command)"
    if [[ ${HEBB_NO_APT:-0} != 0 ]] || { ((EUID != 0)) && ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }; then
        fail "$what is missing." "Install it, then run this again:" "    sudo $command"
    fi
    say "· $what is missing; installing $*"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get install -y --no-install-recommends "$@" && return
    # Fresh containers come without package lists.
    if as_root apt-get update && as_root apt-get install -y --no-install-recommends "$@"; then return; fi
    log_tail 8 >&2
    fail "$what is missing, and installing it failed (above; all of it in $log)." "Try it by hand: $command"
}

# Whether the C and the C++ compiler make a program that starts; a compiler alone, without the C library's headers,
# is a common state of small containers.
compilers_work() {
    local program=$scratch/compiler
    printf '#include <stdint.h>\n#include <stdio.h>\nint main(void) { return 0; }\n' >"$program.c"
    printf '#include <string>\nint main() { return static_cast<int>(std::string{}.size()); }\n' >"$program.cpp"
    "${cc[@]}" "$program.c" -o "$program.1" && "$program.1" && "${cxx[@]}" "$program.cpp" -o "$program.2" &&
        "$program.2" && command -v make
} >>"$log" 2>&1

require_compilers() {
    # As in make: these may hold a launcher or arguments as well.
    read -ra cc <<<"${CC:-cc}"
    read -ra cxx <<<"${CXX:-c++}"
    compilers_work && return
    if [[ -n ${CC:-}${CXX:-} ]]; then
        log_tail 5 >&2
        fail "the compilers in CC=${CC:-cc} CXX=${CXX:-c++} do not work, or make is missing (above)." \
            "Unset these variables or make them name compilers that work."
    fi
    install_packages "a C or C++ compiler or make" g++ libc6-dev make
    compilers_work || { log_tail 5 >&2 && fail "the C or C++ compiler does not work (above)."; }
}

# at_least VERSION MINIMUM
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

require_rust() {
    local needed found
    needed=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$root/Cargo.toml")
    local get_it=("Get it with rustup, see https://rustup.rs, then open a new shell and run this again.")
    if command -v rustup >/dev/null; then
        get_it=("Update it with: rustup update stable")
    elif [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        get_it=("Rust is in ${CARGO_HOME:-$HOME/.cargo}/bin, which is not on your PATH. For this shell:"
            "    source \"${CARGO_HOME:-$HOME/.cargo}/env\"")
    fi
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        fail "Rust $needed or newer is needed; there is no cargo or rustc on PATH." "${get_it[@]}"
    # In the repository, as a toolchain file or an override of rustup may choose another one here.
    found=$(cd "$root" && rustc --version 2>>"$log" | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
    [[ -n $found ]] || { log_tail 5 >&2 && fail "rustc --version fails (above)." "${get_it[@]}"; }
    at_least "$found" "$needed" || fail "Rust $needed or newer is needed; this is Rust $found ($(command -v rustc))." "${get_it[@]}"
    rust_version=$found
}

# What libclang lacks when it comes as a wheel: the compiler's own headers (stddef.h and the like); gcc's are as good.
compiler_headers() { (cd / && "${cc[@]}" -print-file-name=include); }

# r2r reads the C headers of ROS with libclang. Sets libclang_path and bindgen_include where with_ros has to name them.
choose_libclang() {
    libclang_path='' bindgen_include=''
    if [[ -n ${LIBCLANG_PATH:-} ]]; then
        # A person's choice stays. With arguments for it, that person knows what it needs.
        [[ -n ${BINDGEN_EXTRA_CLANG_ARGS:-} ]] ||
            python3 "$root/scripts/ros/find_libclang.py" "$LIBCLANG_PATH" >>"$log" 2>&1 || { log_tail 3 >&2 && fail \
            "LIBCLANG_PATH=$LIBCLANG_PATH names no libclang that can read C (above)." \
            "Unset it to let setup choose, or name a whole one (Debian, Ubuntu: apt-get install libclang-dev)."; }
        return
    fi
    if [[ $ros_kind == sourced ]]; then
        libclang_path=$(python3 "$root/scripts/ros/find_libclang.py" 2>>"$log") && return
        make_tools libclang
        libclang_path=$(echo "$root"/.ros/tools/lib/python3.*/site-packages/clang/native/libclang.so)
    fi
    bindgen_include=$(compiler_headers)
    [[ -e $bindgen_include/stddef.h ]] || fail "${cc[*]} does not say where its own headers are (stddef.h), which libclang needs." \
        "Install gcc, or a whole libclang (Debian, Ubuntu: apt-get install libclang-dev) and name it in LIBCLANG_PATH."
    # The ROS that setup makes names both by itself.
    [[ $ros_kind == sourced ]] || bindgen_include=
}
