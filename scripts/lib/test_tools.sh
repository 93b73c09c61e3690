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
