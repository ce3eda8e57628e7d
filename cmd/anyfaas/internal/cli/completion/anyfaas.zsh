#compdef anyfaas
# Completion of anyfaas for zsh: anyfaas completion zsh > "${fpath[1]}/_anyfaas"
_anyfaas() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${candidates[*]}" ]]; then
        compadd -a candidates
    else
        _files
    fi
}
if [[ "$funcstack[1]" == _anyfaas ]]; then
    _anyfaas "$@"
else
    compdef _anyfaas anyfaas
fi
