# Completion for fish: asks the program what may stand at the cursor. Nothing that it answers is evaluated.
function __lifecycle_exporter
    set -l words (commandline -opc) (commandline -ct)
    set words (string replace -r -- '^~/' "$HOME/" $words)
    command $words[1] complete -- $words[2..] 2>/dev/null
end
complete -c lifecycle-exporter -f
complete -c lifecycle-exporter -k -a "(__lifecycle_exporter | string match -v ':*')"
complete -c lifecycle-exporter -n "__lifecycle_exporter | string match -q :files" -F
complete -c lifecycle-exporter -n "__lifecycle_exporter | string match -q :directories" -a "(__fish_complete_directories)"
