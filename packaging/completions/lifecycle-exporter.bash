# Completion for bash.
_lifecycle_exporter() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  case $before in
    --config | --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$word"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "table markdown json" -- "$word"); return ;;
    --listen | --client | --forwarded-for | --speed) return ;;
    catalog) mapfile -t COMPREPLY < <(compgen -W "recording signaling proxy edumeet vlog --format" -- "$word"); return ;;
  esac
  local words="serve check catalog send demo --config --listen --socket --log-level --version --help"
  case " ${COMP_WORDS[*]} " in
    *" check "*) words="--client --forwarded-for --config" ;;
    *" send "*) words="- --progress --socket --config" ;;
    *" demo "*) words="--speed --listen --socket" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _lifecycle_exporter lifecycle-exporter
