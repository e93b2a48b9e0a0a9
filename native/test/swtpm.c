#include "swtpm.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool accepts(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int probe = socket(AF_UNIX, SOCK_STREAM, 0);
    bool connected;

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    connected = connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(probe);
    return connected;
}

static void run_swtpm(const char *directory)
{
    char state[96], server[128], control[128];

    (void)snprintf(state, sizeof(state), "dir=%s", directory);
    (void)snprintf(server, sizeof(server), "type=unixio,path=%s/tpm", directory);
    (void)snprintf(control, sizeof(control), "type=unixio,path=%s/tpm.ctrl", directory);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
    (void)execlp("swtpm", "swtpm", "socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", state,
                 "--server", server, "--ctrl", control, (char *)NULL);
    _exit(127);
}

void swtpm_start(struct swtpm *swtpm)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    char server[128], control[128];

    (void)snprintf(swtpm->directory, sizeof(swtpm->directory), "/tmp/mooring-check-XXXXXX");
    if (mkdtemp(swtpm->directory) == NULL) {
        perror("check: cannot make a temporary directory");
        exit(EXIT_FAILURE);
    }
    (void)snprintf(server, sizeof(server), "%s/tpm", swtpm->directory);
    (void)snprintf(control, sizeof(control), "%s/tpm.ctrl", swtpm->directory);
    (void)snprintf(swtpm->tcti, sizeof(swtpm->tcti), "swtpm:path=%s", server);
    swtpm->pid = fork();
    if (swtpm->pid == 0)
        run_swtpm(swtpm->directory);
    for (int tries = 0; !accepts(control) || !accepts(server); tries++) {
        if (tries > 2000 || waitpid(swtpm->pid, NULL, WNOHANG) != 0) {
            (void)fprintf(stderr, "check: swtpm does not start; is it installed?\n");
            exit(EXIT_FAILURE);
        }
        (void)nanosleep(&pause, NULL);
    }
}

void swtpm_kill(struct swtpm *swtpm)
{
    if (swtpm->pid <= 0)
        return;
    (void)kill(swtpm->pid, SIGKILL);
    (void)waitpid(swtpm->pid, NULL, 0);
    swtpm->pid = 0;
}

void swtpm_freeze(const struct swtpm *swtpm)
{
    (void)kill(swtpm->pid, SIGSTOP);
}

void swtpm_thaw(const struct swtpm *swtpm)
{
    (void)kill(swtpm->pid, SIGCONT);
}

void swtpm_stop(struct swtpm *swtpm)
{
    DIR *directory;
    const struct dirent *entry;

    swtpm_kill(swtpm);
    directory = opendir(swtpm->directory);
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL) {
        /* swtpm's lock file begins with a dot. */
        (void)unlinkat(dirfd(directory), ".lock", 0);
        (void)closedir(directory);
    }
    (void)rmdir(swtpm->directory);
}
