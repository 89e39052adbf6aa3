# Completion for bash.
_lifecycle_exporter() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  case $before in
    --config | --socket | --file | --position) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    --state) mapfile -t COMPREPLY < <(compgen -d -- "$word"); return ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$word"); return ;;
    --unit) mapfile -t COMPREPLY < <(compgen -W "$(systemctl list-unit-files --type=service --no-legend 2>/dev/null | cut -d' ' -f1)" -- "$word"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "table markdown text json" -- "$word"); return ;;
    --listen | --client | --forwarded-for | --speed | --producer) return ;;
    follow) mapfile -t COMPREPLY < <(compgen -W "signaling proxy" -- "$word"); return ;;
    catalog) mapfile -t COMPREPLY < <(compgen -W "recording signaling proxy edumeet vlog --format" -- "$word"); return ;;
    help) mapfile -t COMPREPLY < <(compgen -W "serve check catalog open send follow demo" -- "$word"); return ;;
    open) mapfile -t COMPREPLY < <(compgen -W "recording signaling proxy edumeet vlog --format --listen --config" -- "$word"); return ;;
  esac
  local words="serve check catalog open send follow demo help --config --listen --socket --state --log-level --version --help"
  case " ${COMP_WORDS[*]} " in
    *" check "*) words="--client --forwarded-for --alive --listen --state --config" ;;
    *" open "*) words="--format --listen --config" ;;
    *" send "*) words="- --progress --socket --config" ;;
    *" follow "*) words="- --unit --file --position --from-start --producer --try --format --socket --config" ;;
    *" demo "*) words="--speed --listen --socket --state" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _lifecycle_exporter lifecycle-exporter
