# Completion of anyfaas for bash: source <(anyfaas completion bash)
_anyfaas() {
    local word=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT}
    local -a words
    # bash splits at "=" and ":"; the program wants whole words.
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local IFS=$'\n'
    COMPREPLY=($("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null))
    if [[ $word == = ]]; then
        COMPREPLY=("${COMPREPLY[@]#*=}")
    elif [[ ${words[${#words[@]}-1]} == --*=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#*=}")
    fi
}
complete -o default -F _anyfaas anyfaas
