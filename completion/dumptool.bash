# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for dumptool(1), by every name that it goes by

_dumptool()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[0]##*/} kind=$prev options='' i
	local input='--arch --page-size --assume --vmcoreinfo --vmlinux --spool-dir --spool-limit'
	local codec='--compress -c -l -p -z'

	# --name=value is three words here.
	[[ $cur == = ]] && cur=
	[[ $prev == = ]] && kind=${COMP_WORDS[COMP_CWORD - 2]}

	case $command in
	makedumpfile) ;;
	kdump-elftool)
		command=elftool
		((COMP_CWORD > 1)) && command=elftool-${COMP_WORDS[1]}
		;;
	vmcore-dmesg) command=dmesg ;;
	savedump | gather-libs) ;;
	*)
		command=
		((COMP_CWORD > 1)) && command=${COMP_WORDS[1]}
		;;
	esac

	case $command in
	filter)
		options="-o --output --format -E -F --flattened --split -f --force -L --size-limit
			-d --level --explain $codec -R --reassemble --dump-dmesg --partial-dmesg
			$input --non-mmap --num-threads --dry-run --check-params --show-stats --json
			--progress --message-level -D --debug -q --quiet -h --help -v --version"
		;;
	convert)
		options="-o --output --format --for -F --flattened --split -f --force $codec $input
			--non-mmap --num-threads --dry-run --json --progress -D --debug -q --quiet
			-h --help"
		;;
	makedumpfile)
		options='-E -F --split -f -x -L -d -c -l -p -z -R --reassemble --dump-dmesg
			--partial-dmesg --non-mmap --num-threads --dry-run --check-params
			--show-stats --message-level -D -h --help -v'
		;;
	inspect)
		options="--vmcoreinfo --vtop -v --verbose --regs --tasks --modules --sym --type --support --verify --compare --with --json --quick --num-threads $input
			--progress -h --help"
		;;
	dmesg)
		options="-o --output -f --force --since-clear $input -h --help"
		;;
	topelf)
		options="-o --output --for -c --elfclass -4 --m32 -8 --m64 -f --force -L --size-limit
			-l --level -d $input -i --input --non-mmap --num-threads --dry-run --json
			--progress -D --debug -q --quiet -h --help"
		;;
	tovelf)
		options="-o --output -f --force -L --size-limit -l --level -d --no-direct-map
			--no-vmemmap -p --procthreads --no-tasks --pid -P --pgd $input -i --input
			--non-mmap --num-threads --dry-run --json --progress -D --debug -q --quiet
			-h --help"
		;;
	bundle)
		options="-o --output --format --level --store-as --with-velf --root --debug-path --debuginfod --no-debug --program --pid
			--volume-size --encrypt-to -f --force --list --verify --json --num-threads
			--progress $input -h --help"
		;;
	unbundle) options='-C --directory -f --force --run --limit --json --progress -h --help' ;;
	savedump) options='-h --help' ;;
	gather-libs) options='-e -c -o -n -h --help' ;;
	makedyn) options='-o --output -f --force --in-place -h --help' ;;
	addrandoff)
		options='-v --vmcore -m --vmlinux -o --output -f --force --in-place -e --extravminfo
			-h --help'
		;;
	virttophys)
		options="-i --infile -v --vmcore -I --intype -P --physpgd -e --extravminfo -d --debug
			$input -h --help"
		;;
	dumpmem)
		options="-i --infile -v --vmcore -I --intype -p --is_physical -o --outfile -f --force
			-e --extravminfo $input -h --help"
		;;
	elftool)
		mapfile -t COMPREPLY < <(compgen -W 'topelf tovelf makedyn addrandoff virttophys dumpmem
			-h --help -v --version' -- "$cur")
		return
		;;
	elftool-topelf)
		options='-o --outfile -c --elfclass -4 --m32 -8 --m64 -l --level -i --oldmem -v --vmcore
			-I --intype -e --extravminfo -d --debug -h --help'
		;;
	elftool-tovelf)
		options='-o --outfile -c --elfclass -4 --m32 -8 --m64 -p --procthreads -P --physpgd
			-m --vmlinux -i --oldmem -v --vmcore -I --intype -e --extravminfo -d --debug
			-h --help'
		;;
	elftool-*)
		options='-i --infile -o --outfile -v --vmcore -m --vmlinux -I --intype -P --physpgd
			-p --is_physical -e --extravminfo -h --help'
		;;
	help) kind=word ;;
	'')
		options='-h --help -V --version --formats'
		kind=word
		;;
	esac

	COMPREPLY=()
	case $kind in
	word)
		mapfile -t COMPREPLY < <(compgen -W "filter convert dmesg inspect topelf tovelf makedyn
			addrandoff virttophys dumpmem bundle unbundle help $options" -- "$cur")
		return
		;;
	--compress) i='zlib lzo snappy zstd none' ;;
	--progress) i='auto tty plain json none' ;;
	-l | --level)
		i='31 17 1 0 kernel cache user inuse all'
		[[ $command == *to[pv]elf ]] || [[ $kind == --level ]] || i=$options
		;;
	-d) i='31 17 1 0' ;;
	--for) i='crash gdb drgn volatility' ;;
	--elfclass) i='32 64' ;;
	-I | --intype) i='oldmem pelf qemu makedumpfile kdump' ;;
	--format)
		i='kdump elf raw flattened'
		[[ $command == bundle ]] && i='tar.zst tar.xz tar.gz tar zip dir'
		;;
	--run) i='crash drgn gdb lldb sdb' ;;
	--store-as) i='asis elf' ;;
	--arch) i='x86_64 i686 aarch64 aarch64_be armv7l ppc ppc64 ppc64le s390x riscv64 loongarch64 mips mipsel mipseb mips64 mips64el mips64eb openrisc sparc64 ia64 alpha' ;;
	--page-size) i='4K 8K 16K 64K' ;;
	--assume) i='arch= page-size= word= byte-order= layout= va-bits= levels= page-table= phys-base= kaslr-offset= page-offset=' ;;
	--spool-dir | --root | --debug-path | -C | --directory)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		compopt -o filenames 2>/dev/null
		return
		;;
	-L | --size-limit | --spool-limit | --num-threads | --pid | --pgd | --explain | --message-level | --volume-size | --encrypt-to | --limit) return ;;
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

complete -F _dumptool dumptool dumptool-kdump makedumpfile vmcore-dmesg kdump-elftool savedump gather-libs
