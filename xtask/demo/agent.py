"""An agent as they are: it tries things, reads what comes back, and goes on. Knows of no gate."""

import pathlib
import socket
import subprocess


def step(what, action):
    """Does one thing and says how it went."""
    try:
        print(f"  agent: {what}: {action()}", flush=True)
    except OSError as error:
        print(f"  agent: {what}: {error.strerror}", flush=True)


def run(*command):
    """Runs a program; its last words."""
    done = subprocess.run(command, capture_output=True, text=True, cwd="/workspace")
    words = (done.stdout + done.stderr).strip().splitlines()
    return f"exit {done.returncode}, {words[-1] if words else 'no output'}"


def connect(host, port):
    """Opens a connection and closes it."""
    with socket.create_connection((host, port), timeout=5):
        return "connected"


note = pathlib.Path("/workspace/notes.md")
step("writes its notes", lambda: note.write_text("# Plan\nfix the bug\n"))
step("reads them", lambda: note.read_text().splitlines()[0])
step("makes a repository", lambda: run("git", "init", "-q", "-b", "main", "."))
step("adds its notes", lambda: run("git", "add", "notes.md"))
step("commits", lambda: run("git", "-c", "user.name=agent", "-c", "user.email=agent@localhost",
                            "commit", "-q", "-m", "notes"))
step("reads the log", lambda: run("git", "log", "--oneline"))
step("asks a local service", lambda: run("curl", "-sS", "http://127.0.0.1:8080/"))
step("reads an ssh key", lambda: pathlib.Path("/root/.ssh/execlayer-demo-key").read_text())
step("reads it through a link", lambda: run("cat", "/workspace/link-to-key"))
step("plants a git hook", lambda: pathlib.Path("/workspace/.git/hooks/post-commit").write_text("x"))
step("becomes root", lambda: run("sudo", "id"))
step("asks for credentials", lambda: connect("169.254.169.254", 80))
step("calls out", lambda: connect("192.0.2.1", 443))
step("still works", lambda: run("git", "status", "--short", "--branch"))
