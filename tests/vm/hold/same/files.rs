//! What the programs find: their environment, and the files of their folder.

pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/sbin:/usr/bin"),
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("TERM", "xterm-256color"),
    ("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z"),
    ("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z"),
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "init.defaultBranch"),
    ("GIT_CONFIG_VALUE_0", "main"),
    ("GIT_CONFIG_KEY_1", "gc.auto"),
    ("GIT_CONFIG_VALUE_1", "0"),
];

pub(super) const FILES: &[(&str, &str)] = &[
    ("a", "pear 3\napple 1\nfig 2\napple 1\n"),
    ("b", "pear 3\napple 2\nfig 2\n"),
    ("deep/er/c", "deep\n"),
    ("Makefile", "all: one two\n\tcat one two\none:\n\techo 1 > one\ntwo:\n\techo 2 > two\n"),
    (
        "server.py",
        "import http.server, sys, threading\n\
         class Quiet(http.server.SimpleHTTPRequestHandler):\n    log_message = lambda *_: None\n\
         server = http.server.HTTPServer(('127.0.0.1', 0), Quiet)\n\
         threading.Thread(target=server.serve_forever, daemon=True).start()\n\
         import subprocess\n\
         url = f'http://127.0.0.1:{server.server_port}/a'\n\
         sys.exit(subprocess.run(['curl', '-sS', url]).returncode)\n",
    ),
    (
        "threads.py",
        "import threading\n\
         found = [None] * 6\n\
         def read(i):\n    found[i] = open('ab'[i % 2]).read()\n\
         all = [threading.Thread(target=read, args=(i,)) for i in range(6)]\n\
         [t.start() for t in all]; [t.join() for t in all]\n\
         print(''.join(found), end='')\n",
    ),
    (
        "aio.py",
        "import asyncio\n\
         async def one(*words):\n\
         \x20   p = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)\n\
         \x20   out, _ = await p.communicate()\n    return out, p.returncode\n\
         async def main():\n\
         \x20   print(await asyncio.gather(one('cat', 'a'), one('sort', 'b'), one('false')))\n\
         asyncio.run(main())\n",
    ),
    (
        "child.js",
        "const c = require('child_process');\n\
         console.log(c.execFileSync('cat', ['a'], {encoding: 'utf8'}));\n\
         const p = c.spawn('sh', ['-c', 'sort b; exit 3']);\n\
         p.stdout.on('data', d => process.stdout.write(d));\n\
         p.on('close', (code, signal) => console.log('closed', code, signal));\n",
    ),
    (
        "watch.py",
        "import os, sys\n\
         pid = os.fork()\n\
         if pid == 0: os.execvp('cat', ['cat', 'a'])\n\
         while True:\n\
         \x20   _, status = os.waitpid(pid, os.WUNTRACED)\n\
         \x20   if not os.WIFSTOPPED(status): break\n\
         \x20   print('stopped')\n\
         sys.exit(os.waitstatus_to_exitcode(status))\n",
    ),
];
