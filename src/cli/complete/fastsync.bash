# Completion of fastsync for bash 3.2 and later, written by: fastsync completions bash
_fastsync() {
  local IFS=$' \t\n' program=$1 line=${COMP_LINE:0:COMP_POINT} at word before last=-1 answer reply
  local -a words
  COMPREPLY=()
  # Bash parts words at colons and equal signs too: pieces without a space between them are one word.
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
    before=$line
    line=${line#"${line%%[![:space:]]*}"}
    ((${#word} <= ${#line})) || word=$line
    line=${line#"$word"}
    if ((at > 0)) && [[ $before == "$word"* && -n $word ]]; then
      words[last]+=$word
    elif ((at > 0)) && [[ -z $word && -z $before ]]; then
      :
    else
      words[++last]=$word
    fi
  done
  [[ $program == '~/'* ]] && program=$HOME/${program:2}
  answer=$("$program" __complete bash "$COMP_WORDBREAKS" "${words[@]}" 2>/dev/null </dev/null) || return 0
  while IFS= read -r reply; do
    case $reply in
      :nothing) compopt +o default +o bashdefault 2>/dev/null ;;
      :directories) compopt +o default +o bashdefault -o dirnames 2>/dev/null ;;
      :files) ;;
      *) COMPREPLY[${#COMPREPLY[@]}]=${reply%%$'\t'*} ;;
    esac
  done <<<"$answer"
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=:/,] ]]; then
    compopt -o nospace 2>/dev/null
  fi
  return 0
}
complete -o bashdefault -o default -F _fastsync fastsync fastsyncd fastsync-utils
