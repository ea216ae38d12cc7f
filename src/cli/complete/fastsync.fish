# Completion of fastsync for fish, written by: fastsync completions fish
function __fastsync_complete
    set -l tokens (commandline -opc)
    set -l current (commandline -ct)
    # Exactly one word, be it empty.
    set current "$current"
    set -l program $tokens[1]
    string match -q '~/*' -- $program; and set program $HOME/(string sub -s 3 -- $program)
    # Tokens come as they are written: quotes, an open one too, and backslashes go.
    set -l words
    for token in $tokens $current
        set -a words (string unescape -- $token; or string unescape -- $token'"'
            or string unescape -- $token"'"; or printf '%s\n' $token)
    end
    set current $words[-1]
    set -l answer ($program __complete fish '' $words 2>/dev/null </dev/null)
    or return
    set -l rest $answer[-1]
    set -e answer[-1]
    for line in $answer
        printf '%s\n' "$line"
    end
    set -l before (string match -r -- '^--[a-z0-9-]+=' $current)
    set -l path (string replace -r -- '^--[a-z0-9-]+=' '' $current)
    switch $rest
        case ':files'
            for found in (__fish_complete_path "$path")
                printf '%s\n' "$before$found"
            end
        case ':directories'
            for found in (__fish_complete_directories "$path")
                printf '%s\n' "$before$found"
            end
    end
end
complete -c fastsync -f -a '(__fastsync_complete)'
complete -c fastsyncd -f -a '(__fastsync_complete)'
complete -c fastsync-utils -f -a '(__fastsync_complete)'
