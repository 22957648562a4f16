//! Programs as agents run them. What they print must not depend on time.

/// A script in a folder with [`super::files::FILES`].
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) shell: &'static str,
    pub(super) script: &'static str,
    /// Only in the tier with the counts for a release.
    pub(super) is_heavy: bool,
}

const fn sh(name: &'static str, script: &'static str) -> Program {
    Program { name, shell: "/usr/bin/dash", script, is_heavy: false }
}

const fn bash(name: &'static str, script: &'static str) -> Program {
    Program { name, shell: "/usr/bin/bash", script, is_heavy: false }
}

const fn heavy(program: Program) -> Program {
    Program { is_heavy: true, ..program }
}

/// Asked about everything.
pub(super) const ALL: &[Program] = &[
    sh("cat", "cat a b deep/er/c"),
    heavy(sh("a file that is not there", "cat a nowhere; echo $?")),
    heavy(sh("ls", "ls -R; ls -d /usr/share")),
    heavy(sh("mkdir, touch, ln", "mkdir -p x/y && touch x/y/z && ln -s z x/y/l && find x | sort")),
    heavy(sh("head, tail, tee", "head -n1 a | tee t; tail -n1 b; cat t")),
    sh("sort, uniq, cut, wc", "sort a | uniq -c | cut -c1-60; cut -d' ' -f1 a; wc a b"),
    sh("grep", "grep -rn apple . | sort; grep -q nothing a; echo $?"),
    heavy(sh("sed", "sed -e s/apple/plum/ a")),
    heavy(sh("awk", "awk '{n[$1]+=$2} END {for (k in n) print k, n[k]}' a | sort")),
    sh("find", "find . -type f -name '[abc]' -exec cat {} + | sort"),
    sh("gzip by a pipe", "gzip -c < a | gzip -dc"),
    heavy(sh("diff", "diff -u --label a --label b a b; echo $?")),
    heavy(sh("cmp and sums", "cmp a b; echo $?; sha256sum a b; md5sum a")),
    sh("env", "env -i A=b env; env FOO=bar sh -c 'echo $FOO'; printenv HOME"),
    heavy(sh("exit codes", "sh -c 'exit 7'; echo $?; sh -c 'kill -TERM $$'; echo $?; exit 5")),
    heavy(sh("a program that is not there", "nowhere; echo $?; ./a; echo $?")),
    bash("a pipeline", "cat a b | sort | uniq | wc -l; echo ${PIPESTATUS[@]}"),
    heavy(bash("pipefail", "set -o pipefail; cat nowhere | cat; echo $?")),
    bash("a trap", "trap 'echo bye; cat b' EXIT; cat a"),
    sh("a trapped signal", "trap 'echo caught' TERM; kill -TERM $$; cat a; echo end"),
    bash(
        "jobs of a script",
        "cat a & cat b > t & wait; cat t; sleep 60 & kill $!; wait $!; echo $?",
    ),
    bash("process substitution", "diff <(sort a) <(sort b); cat < <(cat a)"),
    heavy(bash("here-documents", "cat <<X\nfrom here\nX\nwc -c <<< 'a string'")),
    sh("appending", "echo 1 > t; echo 2 >> t; cat t; : > t; cat t; wc -c < t"),
    heavy(bash("a subshell", "(cd deep; cat er/c); x=$(cat a; exit 4); echo $? \"$x\"")),
    sh("timeout", "timeout 60 sort a; timeout 0.2 sleep 60; echo $?"),
    heavy(sh("xargs", "printf '%s\\n' a b a | xargs -P2 -n1 wc -l | sort")),
    heavy(bash(
        "read and write of one file",
        "exec 3<>a; read -u3 x; echo $x; echo more >&3; cat a",
    )),
    sh("a script", "printf '#!/bin/sh\\necho $0 $1; cat a\\n' > s; chmod 755 s; ./s one"),
    sh("curl of a file", "curl -sS file:///srv/same/work/a; curl -sS file:///nowhere; echo $?"),
    heavy(bash("a closed port", "exec 3<>/dev/tcp/127.0.0.1/9; echo $?")),
    sh("a static program", "/opt/execlayer/bin/execlayer --version; echo $?"),
    heavy(sh("setsid and nohup", "setsid --wait cat a; nohup cat b 2> n; cat n; nice cat b")),
    heavy(sh(
        "devices",
        "head -c 4 /dev/zero | wc -c; cat /dev/null; echo x > /dev/null; cat /dev/fd/0 < a",
    )),
    heavy(sh("flock", "flock a cat a; flock -n b -c 'cat b'")),
    sh("a fifo", "mkfifo f; cat a > f & cat f; wait; echo $?"),
    heavy(sh("git on what is there", "git --version; git diff --no-index --stat a b; echo $?")),
    heavy(sh("python's asyncio", "python3 aio.py")),
    sh(
        "python's subprocess",
        "python3 -c 'import subprocess as s; \
         print(s.run([\"sort\", \"a\"], capture_output=True)); \
         print(s.run(\"exit 3\", shell=True).returncode)'",
    ),
    heavy(sh("python's threads", "python3 threads.py")),
    heavy(sh("curl of a server", "python3 server.py; echo $?")),
    heavy(sh("node", "node child.js; echo $?")),
    heavy(sh("make", "make -s -j2; make -j2 all; make nothing; echo $?")),
];

/// Asked about everything but writing, and reading where they write. They make files that must be new
/// (`O_EXCL`), and an open that has just made its file is never held: where the policy asks about it, it is
/// denied (docs/known-limits.md).
pub(super) const EXCLUSIVE: &[Program] = &[
    sh("cp, mv, rm", "cp a c && mv c d && cat d && rm d && ls"),
    sh("tar", "tar cf t.tar deep && mkdir out && tar xf t.tar -C out && cat out/deep/er/c"),
    heavy(sh("gzip", "gzip a && ls && gunzip a.gz && cat a")),
    bash("noclobber", "set -C; echo 1 > t; echo 2 > t; cat t"),
    heavy(sh("sed in place", "sed -i s/pear/plum/ a; cat a")),
    heavy(sh(
        "split and sort with a small memory",
        "split -l 2 a; sort -S 1K -T /tmp/same a b; ls",
    )),
    heavy(sh(
        "mktemp",
        "t=$(mktemp) && cat a > $t && cat $t && rm $t; mktemp -d /tmp/same/XXXX | wc -c",
    )),
    sh(
        "git",
        "git init -q && git add a && git commit -qm one && echo x >> a && git diff && git log -1",
    ),
    heavy(sh(
        "git's clones",
        "git init -q --bare o.git && git clone -q o.git w && cd w && cp ../a . && git add a && \
         git commit -qm one && git push -q origin main; git status; cd ..; \
         git clone -q o.git v; cat v/a; git -C v log -1",
    )),
    heavy(sh(
        "python's temporary files",
        "python3 -c 'import tempfile\nwith tempfile.NamedTemporaryFile(\"w+\") as t: \
         t.write(\"x\"); t.seek(0); print(t.read())'",
    )),
];

/// Asked about everything: they stop themselves when their command is stopped, and the daemon continues them.
pub(super) const STOPPING: &[Program] =
    &[heavy(sh("sudo", "sudo -n id -u; echo $?")), heavy(sh("su", "su root -c 'cat a'; echo $?"))];

/// Asked about everything, and each has a parent that watches for children that stop.
///
/// KERNEL: waitpid with WUNTRACED sees a held child as it sees one that was stopped by others; nothing keeps
/// it from that.
pub(super) const WATCHED: &[Program] = &[
    bash("job control", "set -m; cat a; cat b & wait; echo $?"),
    bash(
        "an interactive shell",
        "printf 'cat a\\nexit 3\\n' | bash --norc -i 2>/dev/null; echo $?",
    ),
    sh("a watching python", "python3 watch.py"),
];
