# shellcheck shell=bash
# Builds this package's messages into a staging prefix of their own, so that plain cargo and Python find them. colcon
# does not need it: CMakeLists.txt does the same within its build folder.

build_interfaces() {
    local build=$scratch/interfaces
    say "· Building the messages of this package"
    # The record first: it vouches for what is about to be replaced.
    rm -rf "$record" "$interfaces" "$interfaces.new"
    local python=()
    [[ $ros_kind == sourced ]] || python=(-DPython3_EXECUTABLE="$ros_prefix/bin/python3")
    if ! (run cmake -S "$root" -B "$build" -DHEBB_INTERFACES_ONLY=ON -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release \
        "${python[@]}" &&
        run cmake --build "$build" --parallel "$(nproc)" &&
        run cmake --install "$build" --prefix "$interfaces.new"); then
        log_tail 25 >&2
        fail "the messages in msg/ and srv/ cannot be built (above; all of it in $log)."
    fi
    link_working_copy "$interfaces.new"
    interfaces_python=$(find "$interfaces.new" -type d -path '*/*-packages/hebbian_locomotion' -print -quit)
    mv "$interfaces.new" "$interfaces"
    interfaces_python=${interfaces_python%/*}
    interfaces_python=$interfaces${interfaces_python#"$interfaces.new"}
}

# What `ros2 run` and `ros2 launch` need, as links to what cargo builds and to the files of this folder: a developer sees
# changes at once, and no colcon is needed.
link_working_copy() {
    local config=$1/share/hebbian_locomotion/config
    link_programs "$1"
    link_launch_files "$1"
    [[ $config -ef $root/config ]] || ln -sfn "$root/config" "$config"
}

# link_launch_files PREFIX: each by itself in a real folder, as `ros2 launch` does not look into linked ones. Also where there are
# links already: of files that have gone since, or of the whole folder, as older set-ups have it.
link_launch_files() {
    local folder=$1/share/hebbian_locomotion/launch file link
    [[ ! -L $folder ]] || rm -f "$folder" || return
    [[ -d $folder ]] || mkdir -p "$folder" || return
    for link in "$folder"/*; do
        [[ ! -L $link || -e $link ]] || rm -f "$link"
    done
    for file in "$root"/launch/*.launch.py; do
        link=$folder/${file##*/}
        [[ $link -ef $file ]] || ln -sfn "$file" "$link"
    done
}

# link_programs PREFIX: also where there are links already, as cargo may be building into another folder by now.
link_programs() {
    local programs program link
    programs=$(sed -n 's/^set(executables \(.*\))/\1/p' "$root/CMakeLists.txt")
    mkdir -p "$1/lib/hebbian_locomotion"
    for program in $programs; do
        link=$1/lib/hebbian_locomotion/$program
        [[ $(readlink "$link") == "$cargo_target/release/$program" ]] || ln -sfn "$cargo_target/release/$program" "$link"
    done
}

# Which messages the Rust code in cargo's folder is of, is noted there: it may be another folder the next time.
messages_note() {
    local key=${record##*/}
    echo "$cargo_target/.messages-${key%.sh}"
}

has_rust_messages() {
    compgen -G "$cargo_target/$1/build/r2r_msg_gen-*" >/dev/null
}

# Notes that the messages of now are those of a folder of cargo in which nothing is built yet.
note_rust_messages() {
    local note
    note=$(messages_note)
    [[ ! -e $note ]] && ! has_rust_messages debug && ! has_rust_messages release || return 0
    if [[ ! -d $cargo_target ]]; then
        mkdir -p "$cargo_target"
        # As cargo does where it makes the folder: backups leave it out.
        echo "Signature: 8a477f597d28d172789f06886806bc55" >"$cargo_target/CACHEDIR.TAG"
    fi
    messages_fingerprint >"$note"
}

# r2r keeps the Rust code of messages by the names of folders, not by their contents; and what it keeps of its own is without the conditions for
# which it is compiled (a clock from /clock, among others), so that both have to go.
forget_rust_messages() {
    local profile note
    note=$(messages_note)
    note_rust_messages
    [[ ! -r $note || $(<"$note") != "$(messages_fingerprint)" ]] || return 0
    for profile in debug release; do
        has_rust_messages "$profile" || continue
        say "· Making cargo forget the old messages ($profile)"
        (cd "$root" && run cargo clean --offline --package r2r_msg_gen --package r2r --profile "${profile/debug/dev}") || {
            log_tail >&2
            fail "the Rust code of the old messages cannot be removed (above)." "Remove it by hand: cargo clean"
        }
    done
    messages_fingerprint >"$note"
}
