/* A software TPM of the check's own, on Unix sockets in a temporary directory. */
#ifndef MOORING_TEST_SWTPM_H
#define MOORING_TEST_SWTPM_H

#include <sys/types.h>

struct swtpm {
    pid_t pid;
    char directory[64];
    char tcti[160];
};

/* Ends the program when swtpm is missing or does not start. */
void swtpm_start(struct swtpm *swtpm);
void swtpm_kill(struct swtpm *swtpm);
/* A frozen one takes commands and never answers. */
void swtpm_freeze(const struct swtpm *swtpm);
void swtpm_thaw(const struct swtpm *swtpm);

void swtpm_stop(struct swtpm *swtpm);

#endif
