//! Real programs that must do the same under a policy that allows all. The comparison of one program is
//! that of [`crate::hold::same`].

use crate::framework::{full, note};
use crate::gate::Gate;
use crate::hold::same::{Did, run};
use anyhow::Result;
use std::process::Command;

/// A name, a script for bash, and whether it is for the tier of a release only.
type Program = (&'static str, &'static str, bool);

/// What they print must not depend on time. Those that a guest lacks say so alike each time.
const PROGRAMS: &[Program] = &[
    (
        "git",
        "git init -q . && git add . && git commit -qm one && git tag t && git branch b && \
         echo x >> a && git stash -q && git stash pop -q && git commit -qam two && git gc -q && \
         git log --format=%H%s && git fsck && cd .. && git clone -q work clone && \
         git clone -q --bare --shared work bare && git -C clone log -1 --format=%H && \
         git -C clone worktree add -q ../tree && ls tree; rm -rf clone bare tree; echo $?",
        false,
    ),
    (
        "tar with attributes",
        "setfattr -n user.a -v 1 a; ln a h; ln -s a l; mkfifo p; chmod 4755 b; \
         tar --xattrs --acls -cpf t.tar a b h l p deep && mkdir o && \
         tar --xattrs --acls -xpf t.tar -C o && getfattr -d o/a; stat -c '%n %a %F %h' o/*; echo $?",
        false,
    ),
    (
        "cp -a",
        "setfattr -n user.a -v 1 a; ln -s a l; mkfifo p; mkdir o; \
      cp -a a b l p deep o; cp --reflink=auto a r; cp --sparse=always a s; getfattr -d o/a; \
      stat -c '%n %a %F' o/* r s; cmp a o/a; echo $?",
        false,
    ),
    (
        "rsync",
        "rsync -aHAX --delete a b deep o/ && rsync -aHAXv --delete a b deep o/ | head -1; \
      ls -R o; echo $?",
        true,
    ),
    (
        "multiprocessing",
        "python3 -c 'import multiprocessing as m, math\n\
      if __name__ == \"__main__\":\n\
      \x20   with m.get_context(\"fork\").Pool(3) as p: print(p.map(math.sqrt, range(9)))\n\
      \x20   q = m.Queue(); q.put(1); print(q.get()); v = m.Value(\"i\", 3); print(v.value)'; echo $?",
        false,
    ),
    (
        "a pool of spawned processes",
        "python3 -c 'import multiprocessing as m, math\n\
      if __name__ == \"__main__\":\n\
      \x20   with m.get_context(\"spawn\").Pool(2) as p: print(p.map(math.sqrt, range(9)))'; echo $?",
        true,
    ),
    ("make -j2", "make -s -j2; make -j2 all; echo $?", false),
    (
        "sed -i",
        "sed -i.bak s/pear/plum/ a; cat a a.bak; sed -i --follow-symlinks s/a/o/ b; cat b",
        false,
    ),
    (
        "find -exec",
        "find . -type f -exec chmod 600 {} + ; find . -type f -printf '%p %m\\n' | sort; \
      find . -name c -delete; find . -exec echo {} \\; | sort",
        false,
    ),
    (
        "sqlite",
        "python3 -c 'import sqlite3\n\
      d = sqlite3.connect(\"d\"); d.execute(\"pragma journal_mode=wal\"); d.execute(\"create table t(a)\")\n\
      d.executemany(\"insert into t values(?)\", [(i,) for i in range(99)]); d.commit()\n\
      e = sqlite3.connect(\"d\"); print(e.execute(\"select sum(a) from t\").fetchall())\n\
      d.execute(\"vacuum\"); print(d.execute(\"pragma integrity_check\").fetchall())'; ls",
        false,
    ),
    (
        "ssh-keygen",
        "ssh-keygen -q -t ed25519 -N '' -C c -f k; ls; stat -c %a k; \
      ssh-keygen -l -f k | cut -d' ' -f1,3,4; ssh-keygen -y -f k | cut -c1-11; echo $?",
        false,
    ),
    ("curl", "python3 server.py; echo $?", false),
    (
        "node",
        "node child.js; node -e 'const f = require(\"fs\"); f.writeFileSync(\"n\", \"x\"); \
      f.renameSync(\"n\", \"m\"); f.copyFileSync(\"m\", \"o\"); f.symlinkSync(\"o\", \"s\"); \
      f.rmSync(\"m\"); console.log(f.readdirSync(\".\"), f.readFileSync(\"s\", \"utf8\"))'; echo $?",
        true,
    ),
    (
        "dpkg-deb",
        "mkdir -p p/DEBIAN p/usr/share/x && cp a p/usr/share/x && \
      printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@n>\\nDescription: x\\n' \
      > p/DEBIAN/control && dpkg-deb --root-owner-group -b p x.deb; \
      dpkg-deb -c x.deb | cut -c1-10; mkdir o; dpkg-deb -x x.deb o; find o | sort; echo $?",
        false,
    ),
    (
        "mv of a folder",
        "mv deep deeper && ls -R deeper && mkdir x && mv deeper x && ls -R x; \
      mv a x/er 2>&1; mv -n b x; mv -T x y; ls -R; mv y /tmp/same/y && ls -R /tmp/same; rm -r /tmp/same/y",
        false,
    ),
    (
        "install, ln",
        "install -m 750 -d d/e; install -m 640 a d/e/f; install -b b d/e/f; \
      ln a h; ln -s a s; ln -sf b s; ln -sfn d t; ln -r -s d/e/f u; cat s u; \
      stat -c '%n %a %h' d/e/* h; readlink t u; unlink h; rmdir d 2>&1; rm -r d; ls",
        false,
    ),
    (
        "patch",
        "diff -u --label a --label a a b > p; patch a < p; cat a; patch -R a < p; cat a; \
      patch -b a < p; ls; cat a.orig; echo $?",
        false,
    ),
    (
        "links, times, owners",
        "touch -d @99 a; touch -h -d @77 a; cp -p a c; stat -c %Y a c; \
      chown -h 7:7 a; stat -c %u a; chmod -R go-r deep; \
      truncate -s 9 b; fallocate -l 99 z; stat -c %s b z; mktemp -d mXXX | wc -c; sync a; echo $?",
        false,
    ),
    (
        "gzip, split, sort",
        "gzip -k a; gunzip -c a.gz; split -l 2 a; sort -S 1K -T /tmp/same a b; ls; \
      shuf -i 1-1 ; tee t < a | wc -l; mkfifo f; cat a > f & cat f; wait",
        true,
    ),
    (
        "a shell's ways",
        "exec 3<>a; read -u3 x; echo $x; (ulimit -n 20; ls); trap 'echo t' USR1; \
      kill -USR1 $$; coproc cat; echo y >&${COPROC[1]}; read -u ${COPROC[0]} z; echo $z; \
      diff <(sort a) <(sort b); timeout 0.2 sleep 9; echo $?; setsid -w echo s; nohup echo n 2> n; \
      flock a echo f",
        false,
    ),
];

/// Each program and what it did without the gate.
pub(super) fn before() -> Result<Vec<(Program, Did)>> {
    let chosen = PROGRAMS.iter().filter(|(_, _, heavy)| !heavy || full());
    let mut all = Vec::new();
    for program in chosen {
        let did = run(Command::new("/usr/bin/bash").args(["-c", program.1]))?;
        println!("`{}`: {did:?}", program.0);
        all.push((*program, did));
    }
    Ok(all)
}

/// Those that did not do the same.
pub(super) fn compare(gate: &Gate, policy: &str, all: &[(Program, Did)]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for ((name, script, _), before) in all {
        let words = ["/usr/bin/bash", "-c", script];
        let did = run(&mut gate.run(policy, &["--quiet"], &words))?;
        if did != *before {
            wrong.push(format!("`{name}`: {did:?}\nwithout the gate: {before:?}"));
        }
    }
    note(&format!("{} programs", all.len()));
    Ok(wrong)
}
