# shellcheck shell=bash
# How setup talks to a person, and how it runs long commands: quietly, into a log, and so that it can be interrupted.

say() { printf "%s\n" "$@"; }

# fail WHAT IS WRONG, [WHAT TO DO]...: one line each, to stderr, and the end.
fail() {
    printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    (($# == 0)) || printf '  %s\n' "$@" >&2
    exit 1
}

# The process group that runs at the moment, if any.
running=

# run COMMAND...: output goes to $log. In a process group of its own, so that a signal to setup alone ends it at once;
# bash would otherwise wait for the command before it looks at its traps.
# When the array `progress` holds a command, it is called now and then, on a terminal only.
progress=()
run() {
    local status=0
    printf '\n+ %s\n' "$*" >>"$log"
    setsid "$@" >>"$log" 2>&1 </dev/null &
    running=$!
    if [[ -t 1 ]] && ((${#progress[@]} > 0)); then
        while kill -0 "$running" 2>/dev/null; do
            "${progress[@]}"
            sleep 0.3
        done
        printf '\r\e[K'
    fi
    wait "$running" || status=$?
    running=
    return "$status"
}

# In the words of the log: what went wrong last.
log_tail() { tail -n "${1:-15}" "$log" | sed 's/^/    /' | cut -c 1-400; }

end_running() {
    [[ -n $running ]] || return 0
    kill -TERM -- "-$running" 2>/dev/null || kill -TERM "$running" 2>/dev/null || true
    wait "$running" 2>/dev/null || true
}

# interrupted EXIT_CODE: what is half made has no stamp yet, so the next run finds it and makes it anew.
interrupted() {
    trap '' INT TERM HUP
    end_running
    printf '\n%s: interrupted; run it again, it goes on from here.\n' "$(basename "$0")" >&2
    exit "$1"
}

catch_signals() {
    trap 'interrupted 129' HUP
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM
}
