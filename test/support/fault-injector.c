/* Runs a command and stops at each of its system calls that touches a watched directory or a Unix socket in one, in
 * whatever thread. It counts them, writes them down, and has a fault happen at the one that was asked for. Unlike
 * strace's injection it counts across threads and knows whole directories, so that it hits exactly that call.
 *
 *   fault-injector RECORD NTH FAULT WATCHED... -- COMMAND...
 *
 * FAULT is kill, eio, short (once), enospc, erofs (from there on), or a process id: that process is killed in the
 * command's place. NTH 0 only records. A line of RECORD is "CLASS NAME PATH"; CLASS is r (reads), c (changes), g
 * (changes and may need space). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the call names its object: an argument's index, or none. */
enum { NONE = -1 };

struct call {
  int number;
  const char *name;
  char class;    /* as in RECORD; 'o' is open, 'x' only keeps the list of sockets right */
  int path;      /* argument with the path */
  int directory; /* argument with the descriptor that a relative path starts from */
  int file;      /* argument with a descriptor */
};

#define CALL(name, class, path, directory, file) {__NR_##name, #name, class, path, directory, file}
static const struct call calls[] = {
#ifdef __NR_open
    CALL(mkdir, 'g', 0, NONE, NONE),    CALL(rename, 'g', 1, NONE, NONE),  CALL(symlink, 'g', 1, NONE, NONE),
    CALL(unlink, 'c', 0, NONE, NONE),   CALL(rmdir, 'c', 0, NONE, NONE),   CALL(chmod, 'c', 0, NONE, NONE),
    CALL(readlink, 'r', 0, NONE, NONE), CALL(access, 'r', 0, NONE, NONE),  CALL(open, 'o', 0, NONE, NONE),
    CALL(stat, 'r', 0, NONE, NONE),     CALL(lstat, 'r', 0, NONE, NONE),
#endif
    CALL(statfs, 'r', 0, NONE, NONE),
    CALL(openat, 'o', 1, 0, NONE),      CALL(mkdirat, 'g', 1, 0, NONE),    CALL(renameat, 'g', 3, 2, NONE),
    CALL(renameat2, 'g', 3, 2, NONE),   CALL(symlinkat, 'g', 2, 1, NONE),  CALL(unlinkat, 'c', 1, 0, NONE),
    CALL(fchmodat, 'c', 1, 0, NONE),    CALL(readlinkat, 'r', 1, 0, NONE), CALL(faccessat, 'r', 1, 0, NONE),
    CALL(faccessat2, 'r', 1, 0, NONE),  CALL(statx, 'r', 1, 0, NONE),      CALL(newfstatat, 'r', 1, 0, NONE),
    CALL(fstat, 'r', NONE, NONE, 0),    CALL(fchmod, 'c', NONE, NONE, 0),  CALL(fchown, 'c', NONE, NONE, 0),
    CALL(fsync, 'c', NONE, NONE, 0),    CALL(fdatasync, 'c', NONE, NONE, 0), CALL(ftruncate, 'g', NONE, NONE, 0),
    CALL(write, 'g', NONE, NONE, 0),    CALL(pwrite64, 'g', NONE, NONE, 0), CALL(writev, 'g', NONE, NONE, 0),
    CALL(read, 'r', NONE, NONE, 0),     CALL(pread64, 'r', NONE, NONE, 0), CALL(getdents64, 'r', NONE, NONE, 0),
    CALL(fcntl, 'r', NONE, NONE, 0),    CALL(sendto, 'c', NONE, NONE, 0),  CALL(recvfrom, 'r', NONE, NONE, 0),
    CALL(connect, 'c', NONE, NONE, 0),  CALL(close, 'x', NONE, NONE, 0),
};
#define COUNT (sizeof calls / sizeof *calls)

static char **watched;
static int watched_count;
static pid_t child;
/* Descriptors of the command that are connected to a watched socket: /proc does not tell where they lead. */
static char sockets[4096][sizeof((struct sockaddr_un *)0)->sun_path];

static void die(const char *what) {
  fprintf(stderr, "fault-injector: %s: %s\n", what, strerror(errno));
  if (child > 0) kill(child, SIGKILL);
  exit(125);
}

static int is_watched(const char *path) {
  for (int i = 0; i < watched_count; i++) {
    size_t length = strlen(watched[i]);
    if (!strncmp(path, watched[i], length) && (path[length] == '/' || !path[length])) return 1;
  }
  return 0;
}

static int read_memory(pid_t pid, __u64 address, void *into, size_t size) {
  struct iovec local = {into, size};
  struct iovec remote = {(void *)(uintptr_t)address, size};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

/* A string may end right before memory that is not there. */
static void read_text(pid_t pid, __u64 address, char *text, size_t size) {
  size_t length = 0;
  while (length + 1 < size && !read_memory(pid, address + length, text + length, 1) && text[length]) length++;
  text[length] = 0;
}

static void path_of_descriptor(pid_t pid, int fd, char *path) {
  char link[64];
  if (fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", pid);
  else snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length < 0 ? 0 : length] = 0;
}

/* What the call is about: a path, absolute; empty when that is nothing watched. */
static void subject_of(const struct call *call, const struct seccomp_notif *notice, char *path) {
  pid_t pid = (pid_t)notice->pid;
  const __u64 *args = notice->data.args;
  path[0] = 0;
  if (call->path != NONE) {
    char text[PATH_MAX] = "";
    read_text(pid, args[call->path], text, sizeof text);
    if (text[0] != '/') {
      path_of_descriptor(pid, call->directory == NONE ? AT_FDCWD : (int)args[call->directory], path);
      if (text[0]) strncat(path, "/", PATH_MAX - strlen(path) - 1);
    }
    strncat(path, text, PATH_MAX - strlen(path) - 1);
  } else {
    int fd = (int)args[call->file];
    int is_known = fd >= 0 && fd < (int)(sizeof sockets / sizeof *sockets);
    if (call->number == __NR_connect && is_known) {
      struct sockaddr_un address = {0};
      size_t size = args[2] < sizeof address ? args[2] : sizeof address;
      if (!read_memory(pid, args[1], &address, size) && address.sun_family == AF_UNIX && is_watched(address.sun_path))
        strcpy(sockets[fd], address.sun_path);
    }
    if (call->number == __NR_close && is_known) sockets[fd][0] = 0;
    if (is_known && sockets[fd][0]) strcpy(path, sockets[fd]);
    else path_of_descriptor(pid, fd, path);
  }
  if (!is_watched(path)) path[0] = 0;
}

/* The code of the TPM command that is about to be written to a socket; 0 when it is something else. */
static unsigned command_code(const struct call *call, const struct seccomp_notif *notice, const char *path) {
  unsigned char header[10];
  int fd = (int)notice->data.args[0];
  if (call->number != __NR_write && call->number != __NR_sendto) return 0;
  if (fd < 0 || fd >= (int)(sizeof sockets / sizeof *sockets) || strcmp(sockets[fd], path)) return 0;
  if (notice->data.args[2] < sizeof header) return 0;
  if (read_memory((pid_t)notice->pid, notice->data.args[1], header, sizeof header)) return 0;
  return (unsigned)header[6] << 24 | (unsigned)header[7] << 16 | (unsigned)header[8] << 8 | header[9];
}

static char class_of(const struct call *call, const struct seccomp_notif *notice) {
  if (call->class != 'o') return call->class;
  return notice->data.args[call->path + 1] & O_CREAT ? 'g' : 'r';
}

/* Half of what was to be written is written, with the command's own descriptor. */
static long write_half(const struct call *call, const struct seccomp_notif *notice) {
  const __u64 *args = notice->data.args;
  int writes = call->number == __NR_write || call->number == __NR_pwrite64 || call->number == __NR_sendto;
  size_t half = (size_t)args[2] / 2;
  char content[65536];
  if (!writes || !half || half > sizeof content) return -1;
  if (read_memory((pid_t)notice->pid, args[1], content, half)) die("read what is written");
  int process = (int)syscall(SYS_pidfd_open, child, 0);
  int fd = (int)syscall(SYS_pidfd_getfd, process, (int)args[0], 0);
  if (fd < 0) die("take the descriptor");
  ssize_t done = call->number == __NR_pwrite64 ? pwrite(fd, content, half, (off_t)args[3]) : write(fd, content, half);
  close(fd);
  close(process);
  return done;
}

/* Fills in the answer; 0 when the command is to be killed. */
static int answer(const struct call *call, char class, const char *fault, int is_the_one,
                  const struct seccomp_notif *notice, struct seccomp_notif_resp *response) {
  int changes = class == 'c' || class == 'g';
  int on_disk = call->number != __NR_connect && call->number != __NR_sendto && call->number != __NR_recvfrom;
  response->id = notice->id;
  response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  int error = 0;
  pid_t other = atoi(fault);
  if (is_the_one && other > 0) kill(other, SIGKILL);
  if (is_the_one && !strcmp(fault, "kill")) return 0;
  if (is_the_one && !strcmp(fault, "eio")) error = EIO;
  if (!strcmp(fault, "enospc") && on_disk && class == 'g') error = ENOSPC;
  if (!strcmp(fault, "erofs") && on_disk && changes) error = EROFS;
  long half = is_the_one && !strcmp(fault, "short") ? write_half(call, notice) : -1;
  if (error || half >= 0) response->flags = 0;
  if (error) response->error = -error;
  else if (half >= 0) response->val = half;
  return 1;
}

static void supervise(int listener, FILE *record, long nth, const char *fault) {
  struct seccomp_notif *notice = calloc(1, 4096);
  struct seccomp_notif_resp *response = calloc(1, 4096);
  char path[PATH_MAX];
  long seen = 0;
  for (;;) {
    struct pollfd waiting = {listener, POLLIN, 0};
    if (poll(&waiting, 1, -1) < 0) die("poll");
    if (!(waiting.revents & POLLIN)) return; /* nobody is left */
    memset(notice, 0, 4096);
    memset(response, 0, 4096);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notice)) {
      if (errno == ENOENT || errno == EINTR) continue;
      die("receive");
    }
    size_t i = 0;
    while (i < COUNT && calls[i].number != notice->data.nr) i++;
    const struct call *call = &calls[i];
    subject_of(call, notice, path);
    char class = class_of(call, notice);
    response->id = notice->id;
    response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (path[0] && class != 'x') {
      seen++;
      unsigned code = command_code(call, notice, path);
      fprintf(record, "%c %s %s", class, call->name, path);
      fprintf(record, code ? " 0x%x\n" : "\n", code);
      int is_due = nth > 0 && seen >= nth;
      if (is_due && !answer(call, class, fault, seen == nth, notice, response)) {
        kill(child, SIGKILL);
        continue;
      }
    }
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, response) && errno != ENOENT) die("answer");
  }
}

static int install_filter(void) {
  struct sock_filter filter[COUNT + 3];
  filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < COUNT; i++)
    filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)calls[i].number,
                                                 (unsigned char)(COUNT - i), 0);
  filter[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = {COUNT + 3, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* sendmsg and recvmsg are not among the calls that stop, so that a descriptor can change hands under the filter. */
static int pass(int channel, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (fd < 0) {
    if (recvmsg(channel, &message, 0) != 1) return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
  }
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(channel, &message, 0) == 1 ? 0 : -1;
}

int main(int argc, char **argv) {
  int command = 4;
  while (command < argc && strcmp(argv[command], "--")) command++;
  if (command + 1 >= argc) {
    fputs("usage: fault-injector RECORD NTH FAULT WATCHED... -- COMMAND...\n", stderr);
    return 64;
  }
  watched = argv + 4;
  watched_count = command - 4;
  FILE *record = fopen(argv[1], "we");
  if (!record) die(argv[1]);

  int channel[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel)) die("socketpair");
  child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int listener = install_filter();
    if (listener < 0 || pass(channel[1], listener)) _exit(125);
    execvp(argv[command + 1], argv + command + 1);
    _exit(127);
  }
  close(channel[1]);
  int listener = pass(channel[0], -1);
  if (listener < 0) die("receive the listener");
  supervise(listener, record, atol(argv[2]), argv[3]);
  if (fclose(record)) die(argv[1]);
  int status = 0;
  if (waitpid(child, &status, 0) < 0) die("waitpid");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
