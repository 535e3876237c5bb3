# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for dumptool(1), by every name that it goes by

_dumptool()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[0]##*/} kind='' options='' i

	# --name=value is three words here.
	[[ $cur == = ]] && cur=
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}

	case $command in
	makedumpfile) ;;
	vmcore-dmesg) command=dmesg ;;
	*)
		command=
		((COMP_CWORD > 1)) && command=${COMP_WORDS[1]}
		;;
	esac

	case $command in
	filter)
		options='-o --output -d --level --compress -c -l -p -z -F --flattened -f --force
			-L --size-limit --split --num-threads --dump-dmesg --partial-dmesg --dry-run
			--check-params --explain --show-stats --json --progress --message-level
			-D --debug -q --quiet --non-mmap -h --help -v --version'
		kind=$prev
		;;
	makedumpfile)
		options='-d -c -l -p -z -F -f -L --split --num-threads --dump-dmesg --partial-dmesg
			--dry-run --check-params --show-stats --message-level -D --non-mmap
			-h --help -v'
		kind=$prev
		;;
	inspect)
		options='--vmcoreinfo --json --quick --progress -h --help'
		[[ $prev == --progress ]] && kind=$prev
		;;
	dmesg)
		options='-o --output -f --force --since-clear -h --help'
		[[ $prev == -o || $prev == --output ]] && kind=$prev
		;;
	help) kind=word ;;
	'')
		options='-h --help -V --version'
		kind=word
		;;
	esac

	COMPREPLY=()
	case $kind in
	word)
		mapfile -t COMPREPLY < <(compgen -W "filter dmesg inspect help $options" -- "$cur")
		return
		;;
	--compress) i='zlib lzo snappy zstd none' ;;
	--progress) i='auto tty plain json none' ;;
	-d | --level) i='31 17 1 0' ;;
	-L | --size-limit | --num-threads | --explain | --message-level) return ;;
	*)
		if [[ $cur == -* ]]; then
			i=$options
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			compopt -o filenames 2>/dev/null
			return
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$i" -- "$cur")
}

complete -F _dumptool dumptool dumptool-kdump makedumpfile vmcore-dmesg
