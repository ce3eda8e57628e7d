# Completion of anyfaas for fish: anyfaas completion fish > ~/.config/fish/completions/anyfaas.fish
function __anyfaas_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c anyfaas -a '(__anyfaas_complete)'
