# shellcheck shell=bash
# The Python packages that only tests need, beside the ROS in use and without touching its Python.

install_test_tools() {
    local folder=.ros/test-tools lock=tests/requirements.lock stamp
    stamp=$folder/$(sha256sum "$lock" | cut -c1-16)
    if [[ ! -e $stamp ]]; then
        rm -rf "$folder"
        scripts/with_ros python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
            --target "$folder" --requirement "$lock" || {
            echo "test: the packages of $lock could not be installed (see above)" >&2
            return 1
        }
        touch "$stamp"
    fi
    export PYTHONPATH=$PWD/$folder${PYTHONPATH:+:$PYTHONPATH} PATH=$PWD/$folder/bin:$PATH
}

# The browser of the tests of the viewer and of reports: the one in CHROMIUM, one on PATH (names as in tests/reference/find_browser.py), or
# Debian's, which is installed. Playwright's own are large downloads; the system's Chromium does as well.
# install_browser [--required]: where none can be had, that is an error if it is required, and on a CI, where nothing may be left out
# unseen. Anywhere else the tests that need it are skipped, which the last line of the script says.
install_browser() {
    local name as_root=() install=(apt-get install -y --no-install-recommends chromium)
    if [[ -n ${CHROMIUM:-} ]]; then
        command -v "$CHROMIUM" >/dev/null && return
        echo "test: CHROMIUM=$CHROMIUM names no program; let it name a Chromium or Chrome, or unset it" >&2
        return 1
    fi
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null && return
    done
    if [[ ${HEBB_NO_APT:-0} == 0 ]]; then
        ((EUID == 0)) || as_root=(sudo -n)
        echo "· Chromium is missing; installing it"
        if "${as_root[@]}" "${install[@]}" >/dev/null 2>&1 ||
            { "${as_root[@]}" apt-get update >/dev/null 2>&1 && "${as_root[@]}" "${install[@]}" >/dev/null; }; then
            return
        fi
    fi
    echo "test: there is no Chromium, which tests need, and none was installed; install one, or name it in CHROMIUM" >&2
    [[ ${1:-} != --required && -z ${CI:-} ]] || return 1
    trap 'printf "\n!!! %s\n" "There is no Chromium: the tests of the page and of reports in a browser were SKIPPED." >&2' EXIT
}
