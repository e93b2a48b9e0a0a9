/* The courier, as its two halves know it: courier.c has the thread, tcti.c what ESYS sees. */
#ifndef MOORING_TPM_COURIER_H
#define MOORING_TPM_COURIER_H

#include <pthread.h>

#include "internal.h"
#include "limit.h"

#define MOORING_HEADER_SIZE 10U

enum courier_state { COURIER_GONE, COURIER_ASKED, COURIER_ANSWERED, COURIER_CLOSING };

struct mooring_courier {
    TSS2_TCTI_CONTEXT_COMMON_V2 tcti; /* first, so that its address is that of the TCTI which ESYS knows */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum courier_state state;
    unsigned owners;   /* the context, and the thread while it runs */
    bool is_abandoned; /* nobody waits for the thread any more; for good */
    bool is_cancelled;
    struct timespec cancelled_at;
    struct timespec busy_limit; /* of the call under way */
    uint32_t timeout_ms;
    char *conf;
    TSS2_RC rc;
    /* The thread's while COURIER_ASKED, the caller's otherwise. */
    uint8_t command[TPM2_MAX_COMMAND_SIZE];
    size_t command_size;
    uint8_t response[TPM2_MAX_RESPONSE_SIZE];
    size_t response_size;
};

/* courier.c; with the lock held. The command is carried to the TPM once; or MOORING_TPM_RC_TIMEOUT, and the thread is
 * abandoned. */
TSS2_RC mooring_courier_carry(struct mooring_courier *courier, struct timespec limit);
/* False when the limit, or the grace after a cancellation, is over. */
bool mooring_courier_wait(struct mooring_courier *courier, struct timespec limit);

/* tcti.c */
void mooring_tcti_init(struct mooring_courier *courier);
/* How long the TPM may take over the command. */
uint32_t mooring_tcti_limit_ms(const struct mooring_courier *courier);
/* Both headers are a tag, a size, and then the command's code or the response's. */
uint32_t mooring_tcti_code(const uint8_t *header);

#endif
