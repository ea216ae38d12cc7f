#compdef fastsync fastsyncd fastsync-utils
# Completion of fastsync for zsh, written by: fastsync completions zsh
_fastsync() {
  local program=${(Q)words[1]} answer line value about rest=files
  local -a finished finished_about open open_about
  [[ $program == '~/'* ]] && program=$HOME/${program[3,-1]}
  answer=$($program __complete zsh '' "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null) || return 1
  local -i width=0
  for line in ${(f)answer}; do
    value=${line%%$'\t'*}
    (( $#value > width )) && width=$#value
  done
  for line in ${(f)answer}; do
    if [[ $line == :(nothing|files|directories) ]]; then
      rest=${line#:}
      continue
    fi
    value=${line%%$'\t'*}
    about=$value
    [[ $line == *$'\t'* ]] && about="${(r:width:)value}  ${line#*$'\t'}"
    if [[ $value == *[=:/,] ]]; then
      open+=("$value")
      open_about+=("$about")
    else
      finished+=("$value")
      finished_about+=("$about")
    fi
  done
  local -i missing=1
  (( $#finished )) && compadd -l -d finished_about -a finished && missing=0
  (( $#open )) && compadd -l -S '' -d open_about -a open && missing=0
  if [[ $rest != nothing ]]; then
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    if [[ $rest == files ]]; then
      _files && missing=0
    else
      _files -/ && missing=0
    fi
  fi
  return missing
}
if [[ ${funcstack[1]} == _fastsync ]]; then
  _fastsync "$@"
elif (( $+functions[compdef] )); then
  compdef _fastsync fastsync fastsyncd fastsync-utils
fi
