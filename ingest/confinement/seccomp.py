"""A filter on system calls (seccomp-BPF), which the process and all it starts can never shed.

What is refused fails with EPERM, so that a library which only asks goes on without. The numbers
are those of arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h; a call
that is newer than the running kernel is refused by that kernel itself.
"""

import ctypes
import errno
import os
import platform
import resource

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000

LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16

NEW_NAMESPACES = 0x7E020000
NEW_THREAD = 0x00010000
WRITING = os.O_WRONLY | os.O_RDWR
CREATING = os.O_CREAT | os.O_TRUNC

CALLS = """
socket 41 198            socketpair 53 199        connect 42 203           bind 49 200
listen 50 201            accept 43 202            accept4 288 242          sendto 44 206
sendmsg 46 211           sendmmsg 307 269         io_uring_setup 425 425   io_uring_enter 426 426
io_uring_register 427 427

ptrace 101 117           process_vm_readv 310 270 process_vm_writev 311 271
process_madvise 440 440  process_mrelease 448 448 kcmp 312 272             pidfd_open 434 434
pidfd_getfd 438 438      pidfd_send_signal 424 424 move_pages 279 239      migrate_pages 256 238
rt_sigqueueinfo 129 138  rt_tgsigqueueinfo 297 240 setpriority 141 140     ioprio_set 251 30
sched_setaffinity 203 122 sched_setscheduler 144 119 sched_setparam 142 118 sched_setattr 314 274
setpgid 109 154          setsid 112 157           setrlimit 160 164        tkill 200 130

memfd_create 319 279     memfd_secret 447 447     shmget 29 194            shmat 30 196
shmctl 31 195            semget 64 190            semop 65 193             semctl 66 191
semtimedop 220 192       msgget 68 186            msgsnd 69 189            msgrcv 70 188
msgctl 71 187            mq_open 240 180          mq_unlink 241 181

kexec_load 246 104       kexec_file_load 320 294  mount 165 40             umount2 166 39
pivot_root 155 41        chroot 161 51            open_tree 428 428        move_mount 429 429
fsopen 430 430           fsconfig 431 431         fsmount 432 432          fspick 433 433
mount_setattr 442 442    open_tree_attr 467 467   unshare 272 97           setns 308 268
bpf 321 280              keyctl 250 219           add_key 248 217          request_key 249 218
perf_event_open 298 241  userfaultfd 323 282      init_module 175 105      finit_module 313 273
delete_module 176 106    reboot 169 142           swapon 167 224           swapoff 168 225
acct 163 89              quotactl 179 60          quotactl_fd 443 443      settimeofday 164 170
clock_settime 227 112    adjtimex 159 171         clock_adjtime 305 266    sethostname 170 161
setdomainname 171 162    syslog 103 116           vhangup 153 58           ioperm 173 -
iopl 172 -               personality 135 92       name_to_handle_at 303 264
open_by_handle_at 304 265 fanotify_init 300 262

creat 85 -               unlink 87 -              unlinkat 263 35          rename 82 -
renameat 264 38          renameat2 316 276        mkdir 83 -               mkdirat 258 34
rmdir 84 -               link 86 -                linkat 265 37            symlink 88 -
symlinkat 266 36         mknod 133 -              mknodat 259 33           truncate 76 45
chmod 90 -               fchmod 91 52             fchmodat 268 53          fchmodat2 452 452
chown 92 -               lchown 94 -              fchown 93 55             fchownat 260 54
utime 132 -              utimes 235 -             futimesat 261 -          utimensat 280 88
setxattr 188 5           lsetxattr 189 6          fsetxattr 190 7          setxattrat 463 463
removexattr 197 14       lremovexattr 198 15      fremovexattr 199 16      removexattrat 466 466
file_setattr 469 469     openat2 437 437
"""
"""Refused whatever the arguments: the network, other processes, memory that no limit counts, the
system, and changes to files, each with its number on x86_64 and on aarch64."""

PROGRAMS = "fork 57 -  vfork 58 -  execve 59 221  execveat 322 281"
LOOKED_INTO = """
clone 56 220  clone3 435 435  kill 62 129  tgkill 234 131  prlimit64 302 261  open 2 -
openat 257 56
"""

Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(libc: ctypes.CDLL, *, programs: bool, signals: bool) -> bool:
    """Filter the calls of this process, and return whether the kernel took the filter.

    `programs` lets it start others; `signals` lets it end those, where something else keeps it
    from ending strangers. The process must have given up gaining privileges.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    body = assemble(machine, programs=programs, signals=signals)
    code = b"".join(_packed(instruction) for instruction in body)
    program = _Program(len(body), code)
    set_seccomp, filter_mode = 22, 2
    return bool(libc.prctl(set_seccomp, filter_mode, ctypes.addressof(program), 0, 0) == 0)


def assemble(machine: str, *, programs: bool, signals: bool) -> list[Instruction]:
    """Return the filter for an architecture; a call of any other ends the process."""
    looked_into = _numbers(LOOKED_INTO, machine)
    refused = _numbers(CALLS if programs else CALLS + PROGRAMS, machine)
    code = [
        _load(ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL),
        _load(NUMBER_AT),
        *((JUMP_IF_SET, 0, 1, X32), _fail()),
    ]
    for number in refused.values():
        code += [(JUMP_IF_EQUAL, 0, 1, number), _fail()]
    for name, rule in _rules(programs=programs, signals=signals).items():
        if name in looked_into:
            code += [(JUMP_IF_EQUAL, 0, len(rule), looked_into[name]), *rule]
    return [*code, _allow()]


def _rules(*, programs: bool, signals: bool) -> dict[str, list[Instruction]]:
    """Return what decides on a call by its arguments; each rule ends in an answer."""
    only_to_itself = _allow_if_equal(0, os.getpid())
    threads_only = [_argument(0), (JUMP_IF_SET, 0, 1, NEW_THREAD), _allow(), _fail()]
    refused_flags = CREATING if programs else CREATING | WRITING
    return {
        "clone": _fail_if_set(0, NEW_NAMESPACES) if programs else threads_only,
        "clone3": [_fail(errno.ENOSYS)],  # its flags lie in memory; libc falls back on clone
        "kill": [_allow()] if signals else only_to_itself,
        "tgkill": only_to_itself,  # abort() sends itself a signal
        "prlimit64": _own_processor_time_or_looking(),
        "open": _fail_if_set(1, refused_flags),
        "openat": _fail_if_set(2, refused_flags),
    }


def _own_processor_time_or_looking() -> list[Instruction]:
    """Let a process set its own limit of processor time, and look at any."""
    return [
        *(_argument(2), (JUMP_IF_EQUAL, 0, 3, 0)),
        *(_argument(2, high=True), (JUMP_IF_EQUAL, 0, 1, 0), _allow()),
        *(_argument(0), (JUMP_IF_EQUAL, 0, 3, 0)),
        *(_argument(1), (JUMP_IF_EQUAL, 0, 1, resource.RLIMIT_CPU), _allow()),
        _fail(),
    ]


def _allow_if_equal(argument: int, value: int) -> list[Instruction]:
    return [_argument(argument), (JUMP_IF_EQUAL, 0, 1, value), _allow(), _fail()]


def _fail_if_set(argument: int, flags: int) -> list[Instruction]:
    return [_argument(argument), (JUMP_IF_SET, 0, 1, flags), _fail(), _allow()]


def _argument(place: int, *, high: bool = False) -> Instruction:
    return _load(ARGUMENTS_AT + 8 * place + 4 * high)


def _load(offset: int) -> Instruction:
    return (LOAD, 0, 0, offset)


def _allow() -> Instruction:
    return (RETURN, 0, 0, ALLOW)


def _fail(why: int = errno.EPERM) -> Instruction:
    return (RETURN, 0, 0, FAIL | why)


def _packed(instruction: Instruction) -> bytes:
    code, if_true, if_false, value = instruction
    parts = ((code, 2), (if_true, 1), (if_false, 1), (value, 4))
    return b"".join(part.to_bytes(size, "little") for part, size in parts)


def _numbers(table: str, machine: str) -> dict[str, int]:
    """Return the calls that an architecture has."""
    words = table.split()
    column = 1 + list(ARCHITECTURES).index(machine)
    rows = [words[at : at + 3] for at in range(0, len(words), 3)]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
