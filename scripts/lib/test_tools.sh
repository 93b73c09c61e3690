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

# The browser of the viewer's tests. Playwright's own are large downloads; the system's Chromium does as well.
install_browser() {
    if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then return; fi
    local install=(apt-get install -y --no-install-recommends chromium)
    ((EUID == 0)) || install=(sudo -n "${install[@]}")
    echo "· Chromium is missing; installing it"
    "${install[@]}" >/dev/null 2>&1 || { apt-get update >/dev/null 2>&1 && "${install[@]}" >/dev/null; } || {
        echo "test: Chromium is missing, and could not be installed; the viewer's tests need it" >&2
        return 1
    }
}
