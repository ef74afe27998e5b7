#!/bin/sh
# Two hundred lines of POSIX shell, as scripts are written: pipelines, here-documents, functions, traps, job control, redirections,
# expansions, loops, subshells. Everything that it prints is the same on every run.
set -u
export LC_ALL=C
work=$(mktemp -d /tmp/shell.XXXXXX) || exit 99
cd "$work" || exit 99
failures=0

section() { printf '== %s\n' "$1"; }
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
        echo "ok: $1"
    else
        echo "FAILED: $1: expected '$2', got '$3'"
        failures=$((failures + 1))
    fi
}

section "expansions"
path=/usr/local/lib/file.tar.gz
check "suffix" /usr/local/lib "${path%/*}"
check "prefix" file.tar.gz "${path##*/}"
check "long suffix" /usr/local/lib/file "${path%%.*}"
check "length" 26 "${#path}"
check "default" fallback "${unset_variable:-fallback}"
check "alternative" set "${path:+set}"
check "arithmetic" 42 "$((6 * 7))"
check "bits" 12 "$(((5 | 8) & ~1))"
check "nested" "a b c" "$(echo "$(echo a b) c")"
check "quoting" 'it'\''s "so"' "it's \"so\""
set -- one "two words" three
check "count" 3 $#
check "at" "one|two words|three|" "$(printf '%s|' "$@")"
check "star" "one two words three" "$*"
shift
check "shifted" "two words" "$1"
IFS=: read -r first second rest <<END
alpha:beta:gamma:delta
END
check "fields" "alpha/beta/gamma:delta" "$first/$second/$rest"
touch b.txt a.txt c.log '.hidden'
check "glob" "a.txt b.txt" "$(echo *.txt)"
check "no match" "*.none" "$(echo *.none)"
check "class" "c.log" "$(echo [c-d]*)"

section "here-documents"
name=world
cat <<END
hello $name $((1 + 1))
END
cat <<'END'
literal $name $((1 + 1))
END
cat <<-END
	tabs are stripped
		all of them
END
cat <<ONE; cat <<TWO
first
ONE
second
TWO
check "large here-document" 5000 "$(wc -l <<END | tr -d ' '
$(seq 1 5000)
END
)"

section "pipelines"
check "words" "3 apple" "$(printf 'apple\npear\napple\nfig\napple\n' | sort | uniq -c | sort -rn | sed 1q | sed 's/^ *//')"
check "long pipe" 338350 "$(seq 1 100 | awk '{ print $1 * $1 }' | sort -rn | head -n 100 | awk '{ s += $1 } END { print s }')"
seq 1 100000 | sed -n '50000p;50000q' | cat
check "status of the last" 1 "$(true | false; echo $?)"
check "negation" 0 "$(! false; echo $?)"
check "broken pipe" 10 "$(yes | head -n 10 | wc -l | tr -d ' ')"
check "tee" "x x" "$(echo x | tee copy | cat - copy | paste -sd' ' -)"
check "lists" "bc" "$(false && printf a || printf b; true && printf c)"

section "redirections"
echo one >file
echo two >>file
check "append" "one two" "$(paste -sd' ' file)"
{ echo out; echo err >&2; } >both 2>&1
check "both" "out err" "$(paste -sd' ' both)"
exec 3>third
echo through three >&3
exec 3>&-
check "descriptor 3" "through three" "$(cat third)"
exec 4<file
read -r line <&4
read -r line <&4
exec 4<&-
check "reading on" two "$line"
(set -C; echo again >file) 2>/dev/null
check "noclobber" "one two" "$(paste -sd' ' file)"
check "swap" "err" "$( { echo out; echo err >&2; } 3>&1 1>/dev/null 2>&3 )"
check "no such directory" 2 "$(echo x 2>/dev/null >none/file; echo 2)"

section "control flow"
total=0
for i in 1 2 3 4 5 6 7 8 9 10; do
    case $i in
    2 | 4) continue ;;
    9) break ;;
    *[13579]) total=$((total + i)) ;;
    *) total=$((total + 100)) ;;
    esac
done
check "loop" 216 "$total"
n=0
while :; do n=$((n + 1)); [ $n -ge 50 ] && break; done
until [ $n -le 40 ]; do n=$((n - 1)); done
check "while and until" 40 "$n"
factorial() { if [ "$1" -le 1 ]; then echo 1; else echo $(($1 * $(factorial $(($1 - 1))))); fi; }
check "recursion" 3628800 "$(factorial 10)"
value=outer
inner() { value=inner; return 7; }
inner
check "function status" 7 $?
check "function scope" inner "$value"
(value=subshell; cd /; exit 3)
check "subshell" "3 inner" "$? $value"
count=0
while read -r word number; do
    count=$((count + number))
    last=$word
done <<END
a 1
b 20
c 300
END
check "read loop" "321 c" "$count $last"
eval 'check "eval" 5 $((2+3))'
OPTIND=1
parsed=
set -- -a -b value -c rest
while getopts ab:c option; do parsed="$parsed$option${OPTARG:+=$OPTARG},"; OPTARG=; done
check "getopts" "a,b=value,c," "$parsed"

section "traps and signals"
sh -c 'trap "echo trapped exit" EXIT; echo body'
sh -c 'trap "echo got TERM; exit 9" TERM; kill -TERM $$; echo not reached'
check "exit status of a trap" 9 $?
sh -c 'kill -KILL $$'
check "killed" 137 $?
sh -c 'trap "" INT; kill -INT $$; exit 4'
check "ignored" 4 $?
sh -c 'trap "echo USR1" USR1; (kill -USR1 $$); sleep 0.1; wait; exit 6' | grep -c USR1
sh -c 'trap "exit 5" HUP; sleep 30 & kill -HUP $$; wait'
check "trap during wait" 5 $?
check "nested traps" "in out" "$(trap 'printf out' EXIT; (trap 'printf "in "' EXIT; :))"

section "jobs"
sleep 0.2 & first=$!
(exit 12) & second=$!
sleep 30 & third=$!
kill -9 $third
wait $second
check "wait for one" 12 $?
wait $first
check "wait for another" 0 $?
wait $third
status=$?
check "wait for a killed one" yes "$([ $status -gt 128 ] && echo yes || echo $status)"
for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i; echo $i >>parallel) & done
wait
check "parallel" 36 "$(awk '{ s += $1 } END { print s }' parallel)"
mkfifo fifo
(seq 1 1000 >fifo) &
check "fifo" 1000 "$(wc -l <fifo | tr -d ' ')"
wait
bash -c '
    set -m
    sleep 60 & job=$!
    [ "$(ps -o pgid= -p $job | tr -d " ")" = $job ] && echo "own group"
    kill -STOP %1
    sleep 0.2
    jobs | sed "s/  */ /g"
    kill -CONT %1
    kill %1
    wait $job
    echo "status $?"
    (sleep 0.1; exit 3) &
    fg %% >/dev/null
    echo "foreground $?"
' 2>/dev/null
bash -c 'coproc cat; echo round >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "coprocess $answer"; diff <(seq 1 3) <(seq 1 4); echo "substitution $?"'

section "tools"
printf 'b 2\na 1\nc 3\n' | sort -k2n | awk '{ s += $2; print NR, $1 } END { print "sum", s }'
printf 'The quick\nbrown fox\n' | sed -e 's/\(quick\|fox\)/<\1>/g' -e 'y/abc/ABC/' | tr '[:lower:]' '[:upper:]'
printf 'one two three' | xargs -n 1 echo item
mkdir -p tree/a/b tree/c && echo needle >tree/a/b/file && ln -s a/b/file tree/link && ln tree/a/b/file tree/c/hard
find tree | sort
grep -r needle tree | sort
find tree -type f -links 2 -exec basename {} \; | sort
tar cf - tree | (mkdir copy.d && cd copy.d && tar xf -) && diff -r tree copy.d/tree && echo "same tree"
dd if=/dev/zero bs=1k count=64 2>/dev/null | cksum
test -L tree/link && test -f tree/link && ! test -d tree/link && echo "tests"
date -u -d @86400 +%Y-%m-%d
expr 7 \* 6
cut -d: -f1,7 /etc/passwd | sed -n 1p
comm -12 a.list b.list 2>/dev/null || { seq 1 5 >a.list; seq 3 9 >b.list; comm -12 a.list b.list | paste -sd, -; }
timeout 0.2 sleep 10
check "timeout" 124 $?
stat -c '%a %h %F' tree/c/hard

cd / && rm -rf "$work"
[ ! -e "$work" ] && echo "cleaned"
echo "failures: $failures"
exit $((failures == 0 ? 17 : 1))
