"""Runs a command on a terminal of a given size, types what it is told, and changes the size when it is told so.

Lines on standard input: `type TEXT`, `size COLUMNS ROWS`, `hangup`. What the command writes goes to standard output.
"""
import fcntl, os, pty, select, signal, struct, sys, termios


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
set_size(fd, 80, 24)
told = b""
while True:
    readable, _, _ = select.select([fd, 0], [], [])
    if fd in readable:
        try:
            written = os.read(fd, 65536)
        except OSError:
            break
        if not written:
            break
        os.write(1, written)
    if 0 in readable:
        chunk = os.read(0, 65536)
        if not chunk:
            break
        told += chunk
        while b"\n" in told:
            line, told = told.split(b"\n", 1)
            word, _, rest = line.partition(b" ")
            if word == b"type":
                os.write(fd, rest + b"\r")
            elif word == b"size":
                columns, rows = rest.split()
                set_size(fd, int(columns), int(rows))
                os.kill(pid, signal.SIGWINCH)
            elif word == b"hangup":
                os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
