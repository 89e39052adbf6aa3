# Completion for bash: asks the program what may stand at the cursor. Nothing that it answers is evaluated.
_lifecycle_exporter() {
  local line=${COMP_LINE:0:COMP_POINT} words=() piece word _
  # COMP_WORDS is split at = and : as well. What has no white space before it belongs to the word before.
  for piece in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    [[ ${#words[@]} -eq 0 || $line == [[:space:]]* ]] && words+=("")
    line=${line#"${line%%[![:space:]]*}"}
    words[-1]+=${line:0:${#piece}}
    line=${line:${#piece}}
  done
  # $2 is what bash replaces: the end of the word. The quotes in a word are not part of it.
  local kept=${words[-1]%"$2"}
  kept=${kept//[\"\'\\]/} words=("${words[@]//[\"\'\\]/}")
  words=("${words[@]/#\~\//$HOME/}")
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    case $word in
      :files) compopt -o default ;;
      :directories) compopt -o dirnames ;;
      "${words[-1]}"*) COMPREPLY+=("${word#"$kept"}") ;;
    esac
    [[ $word != *= ]] || compopt -o nospace
  done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _lifecycle_exporter lifecycle-exporter
