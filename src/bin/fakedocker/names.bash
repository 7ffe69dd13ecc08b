
# Names of containers, images and volumes, as fakedocker itself knows them.
_fakedocker_names() {
    _fakedocker "$@"
    local word=${COMP_WORDS[COMP_CWORD]} names=''
    case "$word ${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
        -*) return 0 ;;
        *' attach '* | *' commit '* | *' cp '* | *' diff '* | *' exec '* | *' inspect '* | \
            *' kill '* | *' logs '* | *' pause '* | *' port '* | *' rename '* | *' restart '* | \
            *' rm '* | *' start '* | *' stats '* | *' stop '* | *' top '* | *' unpause '* | \
            *' update '* | *' wait '*)
            names=$(fakedocker ps -a --format '{{.Names}}' 2> /dev/null)
            ;;
        *' create '* | *' history '* | *' push '* | *' rmi '* | *' run '* | *' save '* | *' tag '*)
            names="host $(fakedocker images 2> /dev/null | awk 'NR > 1 { print $1 ":" $2 }')"
            ;;
        *' volume inspect' | *' volume rm')
            names=$(fakedocker volume ls -q 2> /dev/null)
            ;;
    esac
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$names" -- "$word")
}
complete -F _fakedocker_names -o nosort -o bashdefault -o default fakedocker
